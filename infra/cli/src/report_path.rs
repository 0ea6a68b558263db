//! Where a report is written: what its path leads to, and whether that does harm.

use std::fs::{File, FileType, Metadata, metadata, read_link};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::table::path_text;
use crate::trouble::{OrTrouble, Trouble};

/// As many links one after another as Linux follows.
const MOST_LINKS: usize = 40;
const ELSEWHERE: &str = "Have the report put elsewhere by --report.";

/// Which file it is: the same by every path, symbolic link and hard link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl FileId {
    /// The file behind an open descriptor, if the system tells.
    pub fn of(descriptor: impl AsFd) -> Option<Self> {
        let file = File::from(descriptor.as_fd().try_clone_to_owned().ok()?);
        file.metadata().ok().as_ref().map(Self::from)
    }
}

/// The files behind the standard streams.
#[derive(Debug, Clone, Copy, Default)]
pub struct Streams {
    /// Standard output.
    pub output: Option<FileId>,
    /// Standard error.
    pub aside: Option<FileId>,
}

/// Where a report is wanted.
pub struct ReportPath<'a> {
    wanted: Wanted<'a>,
    /// The file that is imported: nothing is written there, whatever its path.
    source: Option<FileId>,
}

enum Wanted<'a> {
    /// There. What is there is replaced only by force.
    At { path: &'a Path, force: bool },
    /// Beside that file, under a name that is free.
    Beside(&'a Path),
}

/// What a report's path leads to.
#[derive(Debug)]
pub enum Target {
    /// Standard output.
    Output,
    /// Standard error.
    Aside,
    /// A device, or a descriptor that somebody opened for us: written to as it is.
    Stream(PathBuf),
    /// A FIFO. A named one waits for its reader.
    Pipe {
        /// Its path.
        path: PathBuf,
        /// Whether it has a name of its own, not only a descriptor.
        named: bool,
    },
    /// A socket.
    Socket(PathBuf),
    /// A regular file that is not there yet, under exactly this name.
    New(PathBuf),
    /// A regular file that is replaced: its path without links, and what it was.
    Old(PathBuf, Box<Metadata>),
    /// Beside that file, under the first name that is free.
    Beside(PathBuf),
}

impl<'a> ReportPath<'a> {
    /// A report at the path that was asked for, or else beside a file.
    pub fn new(asked: Option<&'a Path>, force: bool, beside: &'a Path) -> Self {
        let wanted = match asked {
            Some(path) => Wanted::At { path, force },
            None => Wanted::Beside(beside),
        };
        Self {
            wanted,
            source: None,
        }
    }

    /// The same, and never over that file.
    #[must_use]
    pub const fn sparing(self, source: FileId) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    /// What the path leads to now.
    ///
    /// # Errors
    /// When a report must not or cannot go there.
    pub fn target(&self, streams: Streams) -> Result<Target, Trouble> {
        match self.wanted {
            Wanted::Beside(file) => existing_directory(file).map(|()| Target::Beside(file.into())),
            Wanted::At { path, .. } if path == Path::new("-") => {
                self.spare(path, streams.output)?;
                Ok(Target::Output)
            }
            Wanted::At { path, force } => self.at(path, force, streams),
        }
    }

    fn at(&self, path: &Path, force: bool, streams: Streams) -> Result<Target, Trouble> {
        let unclear = format!("{} cannot be looked at", path_text(path));
        let end = follow(path).or_trouble(&unclear, ELSEWHERE)?;
        match metadata(path) {
            Ok(found) => {
                self.spare(path, Some(FileId::from(&found)))?;
                existing(path, end, found, force, streams)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => new(path, end.path),
            Err(error) => Err(error).or_trouble(unclear, ELSEWHERE),
        }
    }

    fn spare(&self, path: &Path, found: Option<FileId>) -> Result<(), Trouble> {
        match self.source.is_some() && self.source == found {
            true => Err(Trouble::new(
                format!("{} is the file that is imported", path_text(path)),
                ELSEWHERE,
            )),
            false => Ok(()),
        }
    }
}

/// A target that is there already.
fn existing(
    path: &Path,
    end: End,
    found: Metadata,
    force: bool,
    streams: Streams,
) -> Result<Target, Trouble> {
    let (id, kind) = (Some(FileId::from(&found)), found.file_type());
    if let Some(what) = harmed(kind) {
        let what = format!("{} is a {what}", path_text(path));
        return Err(Trouble::new(what, ELSEWHERE));
    }
    if id == streams.output {
        Ok(Target::Output)
    } else if id == streams.aside {
        Ok(Target::Aside)
    } else if kind.is_fifo() {
        Ok(Target::Pipe {
            path: end.path,
            named: !end.descriptor,
        })
    } else if kind.is_socket() {
        Ok(Target::Socket(end.path))
    } else if end.descriptor || !kind.is_file() {
        Ok(Target::Stream(end.path))
    } else if force {
        Ok(Target::Old(end.path, Box::new(found)))
    } else {
        Err(exists(path))
    }
}

/// What a report would do harm to.
fn harmed(kind: FileType) -> Option<&'static str> {
    match () {
        () if kind.is_dir() => Some("directory"),
        // Whose file system a report would overwrite.
        () if kind.is_block_device() => Some("disk"),
        () => None,
    }
}

/// A target that is not there yet.
fn new(path: &Path, end: PathBuf) -> Result<Target, Trouble> {
    // `a/` asks for a directory, and Rust takes it for the file `a`.
    if path.as_os_str().as_bytes().ends_with(b"/") {
        let what = format!("there is no directory {}", path_text(path));
        return Err(Trouble::new(what, ELSEWHERE));
    }
    existing_directory(&end)?;
    Ok(Target::New(end))
}

/// Why a report does not go where a file is.
pub fn exists(path: &Path) -> Trouble {
    Trouble::new(
        format!("{} exists", path_text(path)),
        "Give --force to replace it, or have the report put elsewhere by --report.",
    )
}

fn existing_directory(file: &Path) -> Result<(), Trouble> {
    let directory = directory(file);
    if directory.is_dir() {
        return Ok(());
    }
    let what = format!("there is no directory {}", path_text(directory));
    Err(Trouble::new(what, ELSEWHERE))
}

/// The directory that a file is in.
pub fn directory(file: &Path) -> &Path {
    let parent = file.parent();
    parent
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Where symbolic links end.
struct End {
    path: PathBuf,
    /// Whether that is a descriptor of this process, not a name in a file system.
    descriptor: bool,
}

/// Follows symbolic links by hand: the last one may lead to a file that is not there
/// yet, and what is behind a descriptor must not be replaced under its name.
fn follow(path: &Path) -> io::Result<End> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let descriptor = in_descriptors(&path);
        match read_link(&path) {
            Ok(link) if !descriptor => path = directory(&path).join(link),
            _ => return Ok(End { path, descriptor }),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Whether a path leads to a descriptor of this process: `/dev/stdin`, `/dev/fd/3`.
pub fn is_descriptor(path: &Path) -> bool {
    follow(path).is_ok_and(|end| end.descriptor)
}

fn in_descriptors(path: &Path) -> bool {
    let found = directory(path).canonicalize();
    found.is_ok_and(|found| {
        found == Path::new("/dev/fd") || (found.starts_with("/proc") && found.ends_with("fd"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir, hard_link, write};
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use tempfile::TempDir;

    /// What becomes of a report at that path, in few words.
    fn target(path: impl AsRef<Path>, force: bool) -> String {
        let path = path.as_ref();
        let report = ReportPath::new(Some(path), force, Path::new("x"));
        match report.target(Streams::default()) {
            Ok(Target::Old(path, _)) => format!("replace {}", path.display()),
            Ok(Target::New(path)) => format!("make {}", path.display()),
            Ok(target) => format!("{target:?}"),
            Err(trouble) => trouble.what,
        }
    }

    #[test]
    fn links_are_followed_to_the_file_itself() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        write(at("old.csv"), "old").unwrap();
        create_dir(at("in")).unwrap();
        symlink("../old.csv", at("in/link")).unwrap();
        symlink("in/link", at("link")).unwrap();
        symlink("in/new.csv", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let expected = format!("replace {}", at("in/../old.csv").display());
        assert_eq!(target(at("link"), true), expected);
        let expected = format!("make {}", at("in/new.csv").display());
        assert_eq!(target(at("dangling"), false), expected);
        assert!(target(at("loop"), true).contains("too many symbolic links"));
        let expected = format!("{} exists", at("link").display());
        assert_eq!(target(at("link"), false), expected);
    }

    #[test]
    fn what_is_no_regular_file_is_never_replaced() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let open = File::create(at("open.csv")).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&open);
        for (path, expected) in [
            (PathBuf::from("/dev/null"), "Stream".to_owned()),
            (
                PathBuf::from(format!("/dev/fd/{number}")),
                "Stream".to_owned(),
            ),
            (at("socket"), "Socket".to_owned()),
            (
                directory.path().to_owned(),
                format!("{} is a directory", directory.path().display()),
            ),
            (at("new/"), "there is no directory".to_owned()),
            (at("no/new.csv"), "there is no directory".to_owned()),
            (PathBuf::from("-"), "Output".to_owned()),
        ] {
            for force in [false, true] {
                let target = target(&path, force);
                assert!(target.starts_with(&expected), "{path:?}: {target}");
            }
        }
    }

    #[test]
    fn the_source_is_spared_under_every_name_it_has() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        write(at("people.csv"), "email").unwrap();
        hard_link(at("people.csv"), at("hard")).unwrap();
        symlink("people.csv", at("soft")).unwrap();
        let source = FileId::from(&metadata(at("people.csv")).unwrap());
        let streams = Streams {
            output: Some(source),
            aside: None,
        };
        for path in [at("people.csv"), at("hard"), at("soft"), "-".into()] {
            let report = ReportPath::new(Some(&path), true, Path::new("x")).sparing(source);
            let trouble = report.target(streams).unwrap_err();
            assert!(
                trouble.what.ends_with("is the file that is imported"),
                "{trouble}"
            );
        }
    }

    #[test]
    fn a_standard_stream_is_known_by_any_name() {
        let directory = TempDir::new().unwrap();
        let (output, aside) = (directory.path().join("1"), directory.path().join("2"));
        let open = [&output, &aside].map(|path| File::create(path).unwrap());
        let streams = Streams {
            output: FileId::of(&open[0]),
            aside: FileId::of(&open[1]),
        };
        for (path, expected) in [(&output, "Output"), (&aside, "Aside")] {
            let report = ReportPath::new(Some(path), false, Path::new("x"));
            let target = report.target(streams).unwrap();
            assert_eq!(format!("{target:?}"), expected);
        }
    }
}
