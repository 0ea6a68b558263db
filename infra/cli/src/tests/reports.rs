//! Where the refused rows go, and what they never harm.

use std::fs::{File, OpenOptions, Permissions, metadata, read_to_string, set_permissions, write};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::json;
use tempfile::TempDir;

use super::import::{created, names, people, refused_some, run};
use super::s3::S3;
use super::{Api, BROKEN, Outcome, unread};
use crate::exit_status::ExitStatus;
use crate::report_path::{FileId, Streams};

const ROWS: &str = "email,error_line\nnobody,2\n";

/// An import of people.csv with refused rows.
async fn import(directory: &TempDir, options: &str, streams: Streams) -> Outcome {
    let s3 = S3::that_says([(204, ""), (200, ROWS)]).await;
    let answers = [created(&s3), (200, refused_some()), (200, s3.report())];
    let mut api = Api::that_says(answers).await;
    api.streams = streams;
    run(&api, directory, options).await
}

/// The same, and its report goes there.
async fn import_to(directory: &TempDir, path: &Path, options: &str) -> Outcome {
    let options = format!("--report {} {options}", path.display());
    import(directory, options.trim_end(), Streams::default()).await
}

/// An import that is refused before anything is asked of the API.
async fn refused(directory: &TempDir, options: &str, streams: Streams) -> String {
    let mut api = Api::that_says([]).await;
    api.streams = streams;
    let trouble = run(&api, directory, options).await.trouble();
    assert_eq!(api.asked(), [""; 0]);
    trouble
}

fn mode(path: &Path) -> u32 {
    metadata(path).unwrap().permissions().mode() & 0o777
}

fn fifo(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("fifo");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    path
}

#[tokio::test]
async fn a_file_that_exists_is_replaced_only_by_force() {
    let directory = people();
    let path = directory.path().join("old.csv");
    write(&path, "old").unwrap();
    set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let options = format!("--report {}", path.display());
    let trouble = refused(&directory, &options, Streams::default()).await;
    let expected = format!("{} exists\nGive --force to replace it", path.display());
    assert!(trouble.starts_with(&expected), "{trouble}");
    assert_eq!(read_to_string(&path).unwrap(), "old");

    let outcome = import_to(&directory, &path, "--force").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::RowsRefused);
    assert_eq!(read_to_string(&path).unwrap(), ROWS);
    assert_eq!(mode(&path), 0o640, "it is shown to the same people");
    assert_eq!(names(&directory), ["old.csv", "people.csv"]);
}

#[tokio::test]
async fn a_file_that_appears_meanwhile_is_not_replaced() {
    let directory = people();
    let path = directory.path().join("new.csv");
    let (taken, s3) = (path.clone(), S3::that_says([(200, ROWS)]).await);
    let api = Api::that_says([(200, s3.report())]).await;
    // As long as the link is not asked for, nobody has the name.
    let command = format!("imports errors i --report {}", path.display());
    let other = async {
        api.is_asked(1).await;
        write(&taken, "other").unwrap();
        std::future::pending().await
    };
    let outcome = api.run_until(other, api.access(), &command, None).await;
    let trouble = outcome.trouble();
    assert!(trouble.contains("exists"), "{trouble}");
    assert_eq!(read_to_string(&path).unwrap(), "other");
    assert_eq!(names(&directory), ["new.csv", "people.csv"]);
}

#[tokio::test]
async fn the_file_that_is_imported_is_never_written_over() {
    let directory = people();
    let at = |name: &str| directory.path().join(name);
    std::fs::hard_link(at("people.csv"), at("hard.csv")).unwrap();
    symlink("people.csv", at("soft.csv")).unwrap();
    for name in ["people.csv", "hard.csv", "soft.csv"] {
        let options = format!("--report {} --force", at(name).display());
        let trouble = refused(&directory, &options, Streams::default()).await;
        let expected = "is the file that is imported\nHave the report put elsewhere";
        assert!(trouble.contains(expected), "{trouble}");
    }
    let file = FileId::of(File::open(at("people.csv")).unwrap());
    for (output, aside) in [(file, None), (None, file)] {
        let trouble = refused(&directory, "", Streams { output, aside }).await;
        assert!(trouble.starts_with("what is shown would"), "{trouble}");
    }
}

#[tokio::test]
async fn links_stay_and_what_they_lead_to_is_replaced() {
    let directory = people();
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at("in")).unwrap();
    for (link, target) in [("dangling", "in/new.csv"), ("link", "in/old.csv")] {
        write(at("in/old.csv"), "old").unwrap();
        symlink(target, at(link)).unwrap();
        let outcome = import_to(&directory, &at(link), "--force").await;
        assert_eq!(outcome.result.unwrap(), ExitStatus::RowsRefused);
        assert_eq!(std::fs::read_link(at(link)).unwrap(), Path::new(target));
        assert_eq!(read_to_string(at(target)).unwrap(), ROWS);
    }
}

#[tokio::test]
async fn a_report_for_the_standard_output_has_it_for_itself() {
    let directory = people();
    let shown = directory.path().join("1");
    let streams = Streams {
        output: FileId::of(File::create(&shown).unwrap()),
        aside: None,
    };
    let totals = "completed with errors  2,000 rows: 1,997 created, 0 updated, 0 skipped, 3 failed";
    for (path, options) in [
        ("-".to_owned(), ""),
        (shown.display().to_string(), ""),
        ("-".to_owned(), "--output json"),
    ] {
        let options = format!("--report {path} {options}");
        let outcome = import(&directory, options.trim_end(), streams).await;
        assert_eq!(outcome.result.unwrap(), ExitStatus::RowsRefused);
        assert_eq!(outcome.shown, ROWS);
        assert!(outcome.aside.contains(totals) || outcome.aside.contains("\"rows\""));
        assert_eq!(names(&directory), ["1", "people.csv"], "no file called -");
    }
    let s3 = S3::that_says([(200, ROWS)]).await;
    let api = Api::that_says([(200, s3.report())]).await;
    let outcome = api.run("imports errors i --report -").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
    assert_eq!((outcome.shown.as_str(), outcome.aside.as_str()), (ROWS, ""));
}

#[tokio::test]
async fn a_report_may_go_to_the_standard_error() {
    let directory = people();
    let aside = directory.path().join("2");
    let streams = Streams {
        output: None,
        aside: FileId::of(File::create(&aside).unwrap()),
    };
    let options = format!("--report {}", aside.display());
    let outcome = import(&directory, &options, streams).await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::RowsRefused);
    assert!(outcome.aside.ends_with(ROWS), "{}", outcome.aside);
}

#[tokio::test]
async fn a_fifo_gets_the_rows_once_it_has_a_reader() {
    let directory = people();
    let path = fifo(&directory);
    let reader = path.clone();
    let reader = thread::spawn(move || read_to_string(reader).unwrap());
    let outcome = import_to(&directory, &path, "--force").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::RowsRefused);
    assert_eq!(reader.join().unwrap(), ROWS);
    assert!(metadata(&path).unwrap().file_type().is_fifo());
}

#[tokio::test]
async fn who_waits_for_a_reader_can_stop() {
    let directory = people();
    let path = fifo(&directory);
    let s3 = S3::that_says([]).await;
    let api = Api::that_says([(200, s3.report())]).await;
    let command = format!("imports errors i --report {}", path.display());
    let outcome = api
        .run_until(api.is_asked(1), api.access(), &command, None)
        .await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Interrupted);
}

#[tokio::test]
async fn a_reader_of_a_report_may_have_read_enough() {
    let s3 = S3::that_says([(200, ROWS)]).await;
    let api = Api::that_says([(200, s3.report())]).await;
    let command = "imports errors i --report -";
    assert_eq!(unread(&api, command).await.unwrap(), ExitStatus::Done);

    // The import comes to its end, and its report too.
    let directory = people();
    let s3 = S3::that_says([(204, ""), (200, ROWS)]).await;
    let answers = [created(&s3), (200, refused_some()), (200, s3.report())];
    let api = Api::that_says(answers).await;
    let command = format!("import {}", directory.path().join("people.csv").display());
    assert_eq!(
        unread(&api, &command).await.unwrap(),
        ExitStatus::RowsRefused
    );
    assert_eq!(names(&directory), ["people.csv", "people.errors.csv"]);
}

#[tokio::test]
async fn a_socket_gets_the_rows() {
    let directory = people();
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let reader = thread::spawn(move || {
        let mut rows = String::new();
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_string(&mut rows).unwrap();
        rows
    });
    let outcome = import_to(&directory, &path, "").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::RowsRefused);
    assert_eq!(reader.join().unwrap(), ROWS);
    assert!(metadata(&path).unwrap().file_type().is_socket());
}

#[tokio::test]
async fn what_is_behind_a_descriptor_is_written_to_and_not_replaced() {
    let directory = people();
    let path = directory.path().join("3");
    write(&path, "before\n").unwrap();
    let file = OpenOptions::new().append(true).open(&path).unwrap();
    let inode = metadata(&path).unwrap().ino();
    let descriptor = PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()));
    let outcome = import_to(&directory, &descriptor, "").await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::RowsRefused);
    assert_eq!(read_to_string(&path).unwrap(), format!("before\n{ROWS}"));
    assert_eq!(metadata(&path).unwrap().ino(), inode);
}

#[tokio::test]
async fn a_full_disk_is_trouble() {
    let directory = people();
    // By its descriptor: whatever goes wrong here, the device itself stays.
    let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
    let descriptor = PathBuf::from(format!("/dev/fd/{}", full.as_raw_fd()));
    let outcome = import_to(&directory, &descriptor, "").await;
    let trouble = outcome.trouble();
    assert!(trouble.contains("cannot be written to"), "{trouble}");
    assert!(trouble.contains("No space left"), "{trouble}");
    assert!(trouble.contains("muster imports errors i"), "{trouble}");
}

#[tokio::test]
async fn half_a_report_replaces_nothing() {
    let directory = people();
    let path = directory.path().join("good.csv");
    write(&path, "good").unwrap();
    let s3 = S3::that_says([(BROKEN, "email\nnob")]).await;
    let api = Api::that_says([(200, s3.report())]).await;
    let command = format!("imports errors i --force --report {}", path.display());
    let trouble = api.run(&command).await.trouble();
    assert!(trouble.starts_with("the report breaks off"), "{trouble}");
    assert_eq!(read_to_string(&path).unwrap(), "good");
    assert_eq!(names(&directory), ["good.csv", "people.csv"]);
}

#[tokio::test]
async fn a_report_that_has_no_place_is_refused_before_anything_is_done() {
    let directory = people();
    let at = |name: &str| directory.path().join(name).display().to_string();
    for (path, expected) in [
        (at("no/a.csv"), "there is no directory"),
        (at("no/"), "there is no directory"),
        (at(""), "is a directory"),
        (at("people.csv/a"), "cannot be looked at: Not a directory"),
        ("/proc/a.csv".to_owned(), "no file can be made in /proc"),
    ] {
        let options = format!("--report {path}");
        let trouble = refused(&directory, &options, Streams::default()).await;
        assert!(trouble.contains(expected), "{trouble}");
        assert!(trouble.contains("--report"), "{trouble}");
    }
}

#[tokio::test]
async fn a_file_that_came_by_a_descriptor_has_its_report_here() {
    let directory = people();
    let file = File::open(directory.path().join("people.csv")).unwrap();
    let path = PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()));
    let beside = crate::import::neighbour(&path);
    assert_eq!(beside, Path::new("import.csv"));
    let s3 = S3::that_says([(204, "")]).await;
    let api = Api::that_says([created(&s3)]).await;
    let outcome = api
        .run(&format!("import {} --no-follow", path.display()))
        .await;
    assert_eq!(outcome.result.unwrap(), ExitStatus::Done);
    let sent = s3.got().remove(0);
    assert_eq!(sent.parts.last().unwrap().1, b"email\nada@example.com\n");
}

#[tokio::test]
async fn names_steer_no_terminal() {
    let directory = people();
    let path = directory.path().join("a\u{1b}[2Jb");
    let outcome = import_to(&directory, &path, "").await;
    assert!(!outcome.shown.contains('\u{1b}'), "{}", outcome.shown);
    assert_eq!(read_to_string(&path).unwrap(), ROWS);
    let s3 = S3::that_says([(200, ROWS)]).await;
    let api = Api::that_says([(200, s3.report())]).await;
    let command = format!(
        "imports errors i --force --output json --report {}",
        path.display()
    );
    let outcome = api.run(&command).await;
    let shown: serde_json::Value = serde_json::from_str(&outcome.shown).unwrap();
    assert_eq!(shown, json!({ "report": path }));
}
