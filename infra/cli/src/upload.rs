//! A file on its way to S3: a presigned POST, read while it is sent.

use std::collections::BTreeMap;
use std::fs::metadata;
use std::io;
use std::path::Path;

use futures_util::stream::{TryStream, try_unfold};
use indicatif::{HumanBytes, ProgressBar};
use reqwest::Body;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::progress::Progress;
use crate::report_path::FileId;
use crate::table::path_text;
use crate::trouble::{OrTrouble, Trouble};
use crate::{http, s3};

/// So much of the file is in memory at a time.
const PIECE: usize = 256 * 1024;

/// Where the API wants a file.
#[derive(Deserialize)]
pub(crate) struct Destination {
    url: String,
    fields: BTreeMap<String, String>,
    max_bytes: u64,
}

/// A file that can be uploaded.
pub(crate) struct Upload<'a> {
    path: &'a Path,
    file: File,
    /// How long it is.
    pub size: u64,
    /// Which file it is.
    pub id: FileId,
}

impl<'a> Upload<'a> {
    /// Looks at a file, and opens it.
    ///
    /// # Errors
    /// When there is none, or nothing in it.
    pub(crate) async fn new(path: &'a Path) -> Result<Self, Trouble> {
        let name = path_text(path);
        let unread = format!("{name} cannot be read");
        let remedy = "Check its name and its permissions.";
        let found = metadata(path).or_trouble(&unread, remedy)?;
        // The length of anything else is not known before it is read, and to open a
        // pipe may take for ever.
        if !found.is_file() {
            return Err(Trouble::new(
                format!("{name} is no regular file"),
                "Write it to a file first: its size must be known.",
            ));
        }
        if found.len() == 0 {
            return Err(Trouble::new(
                format!("{name} is empty"),
                "A file starts with a header row that has a column email.",
            ));
        }
        let file = File::open(path).await.or_trouble(&unread, remedy)?;
        // What was opened, whatever has the name by now.
        let found = file.metadata().await.or_trouble(&unread, remedy)?;
        let (size, id) = (found.len(), FileId::from(&found));
        Ok(Self {
            path,
            file,
            size,
            id,
        })
    }

    /// What is said while it is sent.
    pub(crate) fn describe(&self) -> String {
        format!(
            "uploading {} ({})",
            path_text(self.path),
            HumanBytes(self.size)
        )
    }

    /// Sends it.
    ///
    /// # Errors
    /// When it is too long, cannot be read, or S3 does not take it.
    pub(crate) async fn send(
        self,
        to: Destination,
        progress: &Progress<'_>,
    ) -> Result<(), Trouble> {
        let name = path_text(self.path);
        if self.size > to.max_bytes {
            let (size, most) = (HumanBytes(self.size), HumanBytes(to.max_bytes));
            return Err(Trouble::new(
                format!("{name} has {size}, and an import takes {most} at most"),
                "Split it, and import the parts, each with the header row.",
            ));
        }
        let body = Body::wrap_stream(pieces(self.file, self.size, progress.bar()));
        // S3 takes a part for the file only if it comes last, and some look for a name.
        let part = Part::stream_with_length(body, self.size).file_name("import.csv");
        let fields = to.fields.into_iter();
        let form = fields.fold(Form::new(), |form, (name, value)| form.text(name, value));
        let request = http::transfer(&to.url)?
            .post(&to.url)
            .multipart(form.part("file", part));
        let response = request.send().await.or_trouble(
            format!("{name} cannot be uploaded"),
            "Check the network, then import it again.",
        )?;
        s3::granted(response, "the file").await?;
        Ok(())
    }
}

/// A file in pieces: as many bytes as were promised, no more and no fewer.
fn pieces(
    file: File,
    size: u64,
    bar: ProgressBar,
) -> impl TryStream<Ok = Vec<u8>, Error = io::Error> + Send {
    try_unfold((file, 0), move |(mut file, read)| {
        let bar = bar.clone();
        async move {
            let mut piece = Vec::with_capacity(PIECE);
            let count = file.read_buf(&mut piece).await? as u64;
            let read = read + count;
            if read > size || (count == 0 && read < size) {
                return Err(io::Error::other("the file changed while it was read"));
            }
            bar.inc(count);
            Ok((count > 0).then_some((piece, (file, read))))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;

    /// What comes of a file of that length when so much was promised.
    async fn read(length: usize, promised: u64) -> io::Result<Vec<Vec<u8>>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file, &vec![b'x'; length]).unwrap();
        let file = File::open(file.path()).await.unwrap();
        pieces(file, promised, ProgressBar::hidden())
            .try_collect()
            .await
    }

    #[tokio::test]
    async fn a_file_is_never_in_memory_as_a_whole() {
        let pieces = read(3 * PIECE + 1, 3 * PIECE as u64 + 1).await.unwrap();
        let lengths: Vec<_> = pieces.iter().map(Vec::len).collect();
        assert!(lengths.iter().all(|length| *length <= PIECE), "{lengths:?}");
        assert_eq!(lengths.iter().sum::<usize>(), 3 * PIECE + 1);
    }

    #[tokio::test]
    async fn a_file_that_changes_meanwhile_is_not_sent() {
        for promised in [99, 101] {
            let error = read(100, promised).await.unwrap_err();
            assert_eq!(error.to_string(), "the file changed while it was read");
        }
    }
}
