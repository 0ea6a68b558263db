//! Who is asked about.

use std::collections::BTreeMap;

use muster_simulation::dynamodb::TABLE;
use serde_json::{Value, json};

use crate::class::{Class, Route};
use crate::place::Place;

/// An address, and what the table should hold of it.
pub(crate) struct Person {
    pub address: String,
    /// Where the mails to it are counted, once there were any.
    rate: Option<String>,
    /// How many mails its lock counts; `None` if there is no lock.
    mails: Option<u64>,
}

/// Known addresses by class, and the unknown one of the moment.
pub(crate) struct People {
    known: BTreeMap<&'static str, Vec<Person>>,
    unknown: Person,
}

impl People {
    /// Signs up addresses of each known class, so many as `needed` says, in
    /// turn, so that none is older in the table than the others.
    pub(crate) async fn prepare(place: &mut Place, needed: &[(Class, usize)]) -> Self {
        let mut order: Vec<Class> = needed
            .iter()
            .filter(|(class, _)| class.has_profile())
            .flat_map(|(class, count)| std::iter::repeat_n(*class, *count))
            .collect();
        place.shuffle(&mut order);
        let mut known = BTreeMap::<_, Vec<_>>::new();
        for class in order {
            let person = Person::known(class, place).await;
            known.entry(class.name()).or_default().push(person);
        }
        Self {
            known,
            unknown: Person::stranger(place),
        }
    }

    /// Lets the cool-down of all be over but of those who are to be in it:
    /// theirs ends tomorrow, however long this takes.
    pub(crate) fn cool_down(&self, place: &Place) {
        let now = place.state.lock().now().as_millis();
        let day = 24 * 60 * 60 * 1000;
        for (class, people) in &self.known {
            let cooling = *class == Class::CoolingDown.name();
            let next = if cooling { now + day } else { now - day };
            let next = json!({ "N": next.to_string() });
            for rate in people.iter().filter_map(|person| person.rate.as_deref()) {
                place
                    .state
                    .lock()
                    .dynamodb
                    .set(rate, "RATE", "next_at", &next);
            }
        }
    }

    /// Who is asked about in a round: of the known ones each once, of the
    /// unknown ones always another.
    pub(crate) fn of(&mut self, class: Class, round: usize, place: &Place) -> &mut Person {
        match self.known.get_mut(class.name()) {
            Some(people) => &mut people[round],
            None => {
                self.unknown = Person::stranger(place);
                &mut self.unknown
            }
        }
    }
}

impl Person {
    async fn known(class: Class, place: &mut Place) -> Self {
        let address = place.address();
        let rate = place.sign_up(&address).await;
        if class.is_confirmed() {
            place.confirm(&address).await;
        }
        Self {
            address,
            rate: Some(rate),
            mails: Some(1),
        }
    }

    fn stranger(place: &Place) -> Self {
        Self {
            address: place.address(),
            rate: None,
            mails: None,
        }
    }

    /// Makes sure that the address was of its class: that asking did to it what
    /// it does to such.
    pub(crate) fn check(&mut self, class: Class, route: Route, place: &Place) {
        self.mails = class.mails_after(route, self.mails);
        let found = mails(place, &self.address);
        assert_eq!(found, self.mails, "{class:?} {route:?}");
    }
}

/// How many mails the lock on an address counts.
fn mails(place: &Place, address: &str) -> Option<u64> {
    let key = json!({ "pk": { "S": format!("EMAIL#{address}") }, "sk": { "S": "EMAIL" } });
    let request = json!({ "TableName": TABLE, "Key": key });
    let (_, answer) = place
        .state
        .lock()
        .dynamodb
        .call("GetItem", &request.to_string());
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    answer["Item"]["mails"]["N"].as_str()?.parse().ok()
}
