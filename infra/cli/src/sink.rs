//! What a report is written to. A regular file appears when it is whole; all else is
//! written to as the report comes.

use std::ffi::OsString;
use std::fs::{Metadata, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use rustix::io::Errno;
use tempfile::NamedTempFile;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::time::sleep;

use crate::console::Console;
use crate::report_path::{Target, directory};
use crate::table::path_text;

/// Something that a report is written to.
pub(crate) enum Sink<'a> {
    /// A standard stream.
    Shown(&'a mut dyn Write),
    /// What is not a regular file.
    Stream(Pin<Box<dyn AsyncWrite>>, PathBuf),
    /// A regular file, under another name until it is whole.
    File(NamedTempFile, Target),
}

impl<'a> Sink<'a> {
    /// Opens a target. A FIFO waits for its reader.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub(crate) async fn open(target: Target, console: &'a mut Console<'_>) -> io::Result<Self> {
        Ok(match target {
            Target::Output => Self::Shown(&mut *console.output),
            Target::Aside => Self::Shown(&mut *console.aside),
            Target::Stream(path) => {
                let mut appending = tokio::fs::OpenOptions::new();
                let file = appending.append(true).open(&path).await?;
                Self::Stream(Box::pin(file), path)
            }
            Target::Pipe { path, named } => {
                let pipe = match named {
                    true => awaited(&path, console).await?,
                    false => pipe::OpenOptions::new().open_sender(&path)?,
                };
                Self::Stream(Box::pin(pipe), path)
            }
            Target::Socket(path) => {
                let socket = UnixStream::connect(&path).await?;
                Self::Stream(Box::pin(socket), path)
            }
            Target::New(ref path) | Target::Old(ref path, _) | Target::Beside(ref path) => {
                // Only its owner may read it: it holds what people are called.
                Self::File(NamedTempFile::new_in(directory(path))?, target)
            }
        })
    }

    /// Writes a piece of the report.
    ///
    /// # Errors
    /// When it cannot be written; as a broken pipe if nobody reads it any more.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Self::Shown(stream) => stream.write_all(piece),
            Self::Stream(stream, _) => stream.write_all(piece).await,
            Self::File(file, _) => file.write_all(piece),
        }
    }

    /// Ends a report that is whole, and says where it is, unless it was shown.
    ///
    /// # Errors
    /// When it cannot be written; as [`ErrorKind::AlreadyExists`] if there is a file by
    /// now that is not to be replaced.
    pub(crate) async fn finish(self) -> io::Result<Option<PathBuf>> {
        match self {
            Self::Shown(stream) => stream.flush().map(|()| None),
            Self::Stream(mut stream, path) => {
                stream.shutdown().await?;
                Ok(Some(path))
            }
            Self::File(file, target) => {
                // Renamed before it is on the disk, it may be empty after a crash.
                file.as_file().sync_all()?;
                place(file, target).map(Some)
            }
        }
    }
}

/// A FIFO, once somebody reads it.
async fn awaited(path: &Path, console: &mut Console<'_>) -> io::Result<pipe::Sender> {
    let mut told = false;
    loop {
        match pipe::OpenOptions::new().open_sender(path) {
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {}
            opened => return opened,
        }
        if !told {
            console.remark(&format!(
                "The refused rows wait for a reader of {}",
                path_text(path)
            ));
            told = true;
        }
        sleep(console.pace.min(Duration::from_millis(100))).await;
    }
}

/// Gives a complete file its name.
fn place(file: NamedTempFile, target: Target) -> io::Result<PathBuf> {
    match target {
        Target::Old(path, old) => {
            keep_permissions(&file, &old)?;
            file.persist(&path)?;
            Ok(path)
        }
        Target::Beside(path) => free(file, &path),
        Target::New(path) => {
            file.persist_noclobber(&path)?;
            Ok(path)
        }
        _ => Err(io::Error::other("not a regular file")),
    }
}

/// A file that replaces another may be read by the same people.
fn keep_permissions(file: &NamedTempFile, old: &Metadata) -> io::Result<()> {
    let file = file.as_file();
    let new = file.metadata()?;
    let kept = (new.uid(), new.gid()) == (old.uid(), old.gid())
        || fchown(file, Some(old.uid()), Some(old.gid())).is_ok();
    // The group of a file that is ours now may be another one.
    let shown_to = if kept { 0o777 } else { 0o700 };
    file.set_permissions(Permissions::from_mode(old.mode() & shown_to))
}

/// Puts a file beside another, under the first name that is free.
fn free(mut file: NamedTempFile, beside: &Path) -> io::Result<PathBuf> {
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

/// `people.errors.csv`, `people.errors.2.csv` and so on.
fn name(file: &Path, number: u32) -> PathBuf {
    let mut name = file.file_stem().map_or_else(OsString::new, OsString::from);
    name.push(match number {
        1 => ".errors.csv".to_owned(),
        _ => format!(".errors.{number}.csv"),
    });
    file.with_file_name(name)
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
            assert_eq!(directory(Path::new(file)), Path::new(expected));
        }
    }
}
