//! The rows that an import refused, on this machine.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::api::Api;
use crate::trouble::{OrTrouble, Trouble};
use crate::{http, s3};

/// Where a report goes.
pub enum Place<'a> {
    /// There, and what was there is replaced.
    At(&'a Path),
    /// Beside that file, under a name that is free.
    Beside(&'a Path),
}

impl Place<'_> {
    /// Looks whether a report can go there at all, before there is one.
    ///
    /// # Errors
    /// When its directory does not exist, or it is one.
    pub fn check(&self) -> Result<(), Trouble> {
        let elsewhere = "Have the report put elsewhere by --report.";
        let directory = self.directory();
        if !directory.is_dir() {
            let what = format!("there is no directory {}", directory.display());
            return Err(Trouble::new(what, elsewhere));
        }
        match self {
            Self::At(path) if path.is_dir() => {
                let what = format!("{} is a directory", path.display());
                Err(Trouble::new(what, elsewhere))
            }
            _ => Ok(()),
        }
    }

    fn directory(&self) -> &Path {
        let (Self::At(path) | Self::Beside(path)) = self;
        let parent = path.parent();
        parent
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
    }

    /// Puts a complete file there.
    fn take(&self, mut file: NamedTempFile) -> io::Result<PathBuf> {
        let beside = match self {
            Self::At(path) => {
                file.persist(path)?;
                return Ok(path.to_path_buf());
            }
            Self::Beside(path) => path,
        };
        let mut number = 1;
        loop {
            let path = name(beside, number);
            match file.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(taken) if taken.error.kind() == ErrorKind::AlreadyExists => file = taken.file,
                Err(failed) => return Err(failed.error),
            }
            number += 1;
        }
    }
}

/// `people.errors.csv`, `people.errors.2.csv` and so on.
fn name(file: &Path, number: u32) -> PathBuf {
    let mut name = file.file_stem().map_or_else(OsString::new, OsString::from);
    name.push(match number {
        1 => ".errors.csv".to_owned(),
        _ => format!(".errors.{number}.csv"),
    });
    file.with_file_name(name)
}

/// Downloads the report of an import, and says where it is. Nobody sees half of it.
///
/// # Errors
/// When there is none, or it cannot be fetched or written.
pub async fn download(id: &str, place: &Place<'_>, api: &mut Api) -> Result<PathBuf, Trouble> {
    let link = api.get(&["imports", id, "errors"], &[]).await?;
    let url = link["url"].as_str().unwrap_or_default();
    let again = format!("Try again: muster imports errors {id}");
    let request = http::transfer(url)?.get(url);
    // Who has the link has the report, so that no complaint shows it.
    let response = request.send().await.map_err(reqwest::Error::without_url);
    let response = response.or_trouble("the report cannot be fetched", &again)?;
    let mut response = s3::granted(response, "the report").await?;
    let unwritten = format!(
        "the report cannot be written to {}",
        place.directory().display()
    );
    let elsewhere = format!("Have it put elsewhere: muster imports errors {id} --report <PATH>");
    // Only its owner may read it: it holds what people are called.
    let mut file = NamedTempFile::new_in(place.directory()).or_trouble(&unwritten, &elsewhere)?;
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)
        .or_trouble("the report breaks off", &again)?
    {
        file.write_all(&piece).or_trouble(&unwritten, &elsewhere)?;
    }
    place.take(file).or_trouble(&unwritten, &elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_called_after_its_file_and_lies_beside_it() {
        for (file, number, expected) in [
            ("people.csv", 1, "people.errors.csv"),
            ("a/people.csv", 2, "a/people.errors.2.csv"),
            ("/people", 11, "/people.errors.11.csv"),
        ] {
            assert_eq!(name(Path::new(file), number), Path::new(expected));
        }
        for (file, expected) in [("people.csv", "."), ("a/people.csv", "a"), ("/people", "/")] {
            assert_eq!(
                Place::Beside(Path::new(file)).directory(),
                Path::new(expected)
            );
        }
    }
}
