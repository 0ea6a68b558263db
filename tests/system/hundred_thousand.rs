//! A big file by the command line.

use std::io::Write;

use muster_cli::exit_status::ExitStatus;
use serde_json::{Value, json};

use crate::stack::{Stack, muster};

const ROWS: u64 = 100_000;

/// Every thousandth row is refused, every five-hundredth repeats another one.
fn file(stack: &Stack) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    let mut csv = std::io::BufWriter::new(&mut file);
    writeln!(csv, "email,name,phone").unwrap();
    for row in 0..ROWS {
        let email = match row {
            _ if row % 1000 == 7 => format!("=row{row}"),
            _ if row % 500 == 9 => stack.address(&format!("row{}", row - 9)),
            _ => stack.address(&format!("row{row}")),
        };
        writeln!(csv, "{email},Row {row},+44 20 7946 {row:06}").unwrap();
    }
    csv.flush().unwrap();
    drop(csv);
    file
}

#[tokio::test]
async fn a_hundred_thousand_rows_by_the_command_line() {
    let stack = Stack::find();
    let (file, folder) = (file(&stack), tempfile::tempdir().unwrap());
    let report = folder.path().join("refused.csv");
    let command = format!(
        "import {} --report {} --output json",
        file.path().display(),
        report.display()
    );
    let (ending, shown) = muster(&stack, &command).await;
    assert_eq!(ending, ExitStatus::RowsRefused);
    let import: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(import["status"], "completed_with_errors");
    assert_eq!(
        import["rows"],
        json!({ "total": ROWS, "created": 99_700, "updated": 0, "skipped": 200, "failed": 100 })
    );
    assert_eq!(
        import["chunks"],
        json!({ "total": 5, "done": 5, "failed": [] })
    );
    let mut reader = csv::Reader::from_path(&report).unwrap();
    let refused: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(refused.len(), 100);
    for (number, row) in refused.iter().enumerate() {
        let line = number * 1000 + 7;
        let expected = [
            format!("'=row{line}"),
            format!("Row {line}"),
            format!("+44 20 7946 {line:06}"),
            (line + 2).to_string(),
            "email".to_owned(),
            "invalid_email".to_owned(),
        ];
        assert_eq!(row.iter().take(6).collect::<Vec<_>>(), expected);
    }
    for row in [0, 19_999, 20_000, 60_001, 99_999] {
        let profile = stack
            .profile(&stack.address(&format!("row{row}")))
            .await
            .unwrap();
        let phone = format!("+44 20 7946 {row:06}");
        assert_eq!(profile["attributes"], json!({ "phone": phone }));
        assert_eq!(
            profile["import"],
            json!({ "id": import["id"], "line": row + 2 })
        );
    }
}
