//! 20,000 realistic rows, some of them bad in different ways.
//!
//! The same seed gives the same people; `run` makes their addresses a run's
//! own.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const GIVEN: [&str; 20] = [
    "Ada",
    "Björn",
    "Chloé",
    "Dmitri",
    "Eilidh",
    "Fatima",
    "Grace",
    "Håkon",
    "Inés",
    "José",
    "Kateřina",
    "Leïla",
    "Małgorzata",
    "Ngozi",
    "Ólafur",
    "Priya",
    "Siobhán",
    "Thảo",
    "Yuki",
    "Zoë",
];
const FAMILY: [&str; 16] = [
    "Lovelace",
    "Hopper",
    "García",
    "Müller",
    "O’Brien",
    "Nguyễn",
    "Kowalska",
    "Sørensen",
    "van der Berg",
    "Okafor",
    "Ivanova",
    "Tanaka",
    "Dupont",
    "Rossi",
    "Jónsdóttir",
    "Smith-Jones",
];
const TEAMS: [&str; 6] = [
    "Engineering",
    "Sales, EMEA",
    "Customer \"Success\"",
    "Finance",
    "Field operations\nNorth",
    "People",
];
const CITIES: [&str; 8] = [
    "Århus",
    "Bogotá",
    "Dublin",
    "Hamburg",
    "Kraków",
    "Osaka",
    "São Paulo",
    "Zürich",
];

/// A bad row is put in after every so many good ones.
const BAD_EVERY: usize = 500;
/// A row that repeats an address, after every so many good ones.
const REPEATED_EVERY: usize = 800;

/// A CSV, and what is to become of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct People {
    /// The file.
    pub csv: Vec<u8>,
    /// Rows in it, the header not counted.
    pub rows: u64,
    /// Rows whose address an earlier row has.
    pub repeated: u64,
    /// Rows that are refused.
    pub bad: u64,
    /// The address of one of the good rows.
    pub somebody: String,
}

impl People {
    /// The rows that become profiles.
    pub(crate) const fn good(&self) -> u64 {
        self.rows - self.repeated - self.bad
    }

    /// A file of `rows` rows.
    pub(crate) fn generate(rows: usize, run: &str) -> Self {
        let mut people = Self {
            csv: b"email,name,team,city,phone\n".to_vec(),
            rows: rows as u64,
            repeated: 0,
            bad: 0,
            somebody: address(run, 1),
        };
        let mut random = StdRng::seed_from_u64(20);
        for number in 1..=rows {
            if number % BAD_EVERY == 0 {
                people.csv.extend(bad_row(run, number, number / BAD_EVERY));
                people.bad += 1;
            } else if number % REPEATED_EVERY == 1 && number > 1 {
                people
                    .csv
                    .extend(good_row(&address(run, number - 2), &mut random));
                people.repeated += 1;
            } else {
                people
                    .csv
                    .extend(good_row(&address(run, number), &mut random));
            }
        }
        people
    }
}

fn address(run: &str, number: usize) -> String {
    format!("person.{number}.{run}@example.com")
}

fn good_row(address: &str, random: &mut StdRng) -> Vec<u8> {
    let pick =
        |list: &[&'static str], random: &mut StdRng| list[random.random_range(0..list.len())];
    let name = format!("{} {}", pick(&GIVEN, random), pick(&FAMILY, random));
    let team = pick(&TEAMS, random);
    let city = pick(&CITIES, random);
    let phone = format!("+44 20 7946 {:04}", random.random_range(0..10_000));
    line(&[address, &name, team, city, &phone])
}

/// Each kind in turn.
fn bad_row(run: &str, number: usize, kind: usize) -> Vec<u8> {
    let address = address(run, number);
    match kind % 7 {
        0 => line(&["", "No Address", "Finance", "Dublin", ""]),
        1 => line(&["not-an-address", "Wrong Address", "Finance", "Dublin", ""]),
        2 => line(&[&address, &"Long".repeat(60), "Finance", "Dublin", ""]),
        3 => line(&[
            &address,
            "Header\r\nBcc: everybody@example.com",
            "Finance",
            "Dublin",
            "",
        ]),
        4 => line(&[&address, "Too Many", "Finance", "Dublin", "", "fields"]),
        5 => line(&[&address, "Too Few"]),
        _ => {
            let mut row = address.into_bytes();
            row.extend(b",Latin\xe9,Finance,Dublin,\n");
            row
        }
    }
}

fn line(fields: &[&str]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    // Writing to a Vec cannot fail.
    let _ = writer.write_record(fields);
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_rows_that_it_says() {
        let people = People::generate(20_000, "x");
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(&people.csv[..]);
        let mut addresses = std::collections::HashSet::new();
        let (mut rows, mut repeated, mut bad) = (0, 0, 0);
        for record in reader.byte_records() {
            let record = record.unwrap();
            rows += 1;
            let is_bad = record.len() != 5
                || record
                    .iter()
                    .any(|field| std::str::from_utf8(field).is_err())
                || !record[0].contains(&b'@')
                || record[1].len() > 200
                || record[1].contains(&b'\n');
            if is_bad {
                bad += 1;
            } else if !addresses.insert(record[0].to_vec()) {
                repeated += 1;
            }
        }
        assert_eq!(
            (rows, repeated, bad),
            (people.rows, people.repeated, people.bad)
        );
        assert_eq!(addresses.len() as u64, people.good());
        assert!(addresses.contains(people.somebody.as_bytes()));
        assert!(people.bad >= 35 && people.repeated >= 20);
    }

    #[test]
    fn the_same_run_has_the_same_people() {
        assert_eq!(People::generate(1000, "x"), People::generate(1000, "x"));
        assert_ne!(People::generate(1000, "x"), People::generate(1000, "y"));
    }
}
