//! Who runs when: deliveries, the schedule, what people do.
//!
//! The world does what Lambda, SQS and EventBridge do around the functions. A
//! queue's messages go to an idle process of its function, or to a new one, up
//! to the function's concurrency; a batch is taken at its word as Lambda takes
//! it; what is not answered comes back when its visibility timeout is over.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use muster_core::platform::ids::{ImportId, ProfileId};
use muster_core::platform::random::Random;
use muster_core::platform::time::{Clock, Time};
use serde_json::{Value, json};
use tokio::time::sleep_until;

use crate::actions::{Action, CompletedAction, EDITED};
use crate::bug::Bug;
use crate::invariants::{due_at, find, of_kind, text};
use crate::process::{Function, Outcome, Process};
use crate::queues::{BULK_MAIL, CHUNK, FEEDBACK, IMPORT, MAIL, Message};
use crate::scenario::Scenario;
use crate::state::State;

/// Which function reads a queue, in batches of how many.
const TRIGGERS: [(&str, Function, usize); 5] = [
    (MAIL, Function::Mailer, 10),
    (BULK_MAIL, Function::Mailer, 10),
    (IMPORT, Function::Planner, 1),
    (CHUNK, Function::Worker, 1),
    (FEEDBACK, Function::Feedback, 10),
];
/// Processes of one function at once.
const CONCURRENCY: usize = 2;
/// The schedule of the sweeper.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long people wait before they try again.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long people look for a mail or a profile that does not come: a mail to
/// an address that was changed before it went, say.
const GIVES_UP: Duration = Duration::from_secs(3 * 60 * 60);
/// Nothing takes longer than this, whatever goes wrong: a day until the
/// reminder, and the longest visibility timeout (90 minutes) a few times over.
const END: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// A run under way.
pub struct World {
    state: State,
    clock: Clock,
    random: Random,
    idle: BTreeMap<Function, Vec<Process>>,
    busy: BTreeMap<Function, usize>,
    start: Time,
    actions: Vec<(Time, Action)>,
    then: Vec<(Action, Duration, Action)>,
    /// Actions that were tried: what they are about may be gone since.
    tried: Vec<Action>,
    next_sweep: Time,
    processes: u64,
    uploads: u64,
    /// Whether the row of an address was imported when something was begun to be
    /// done to it.
    imported: BTreeMap<String, bool>,
    /// When an operator last tried to resume the cancelled import: it stands still
    /// since then, or longer.
    rested_since: Option<Time>,
    /// The earliest due time, as of how many calls.
    due: Option<(usize, Option<Time>)>,
    /// Whether all came to rest before the end of time.
    pub at_rest: bool,
}

/// What an invocation was for.
enum Purpose {
    Batch {
        queue: &'static str,
        messages: Vec<Message>,
    },
    Action(Action),
    Sweep,
}

type Running = Pin<Box<dyn Future<Output = (Function, Option<Process>, Outcome, Purpose)>>>;

impl World {
    /// A world in which a scenario is about to happen.
    pub fn new(state: State, clock: Clock, random: Random, scenario: Scenario) -> Self {
        let start = clock.now();
        let mut actions: Vec<_> = scenario
            .actions
            .into_iter()
            .map(|(at, action)| (start.after(at), action))
            .collect();
        actions.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Self {
            state,
            clock,
            random,
            idle: BTreeMap::new(),
            busy: BTreeMap::new(),
            start,
            actions,
            then: scenario.then,
            tried: Vec::new(),
            next_sweep: start.after(SWEEP_EVERY),
            processes: 0,
            uploads: 0,
            imported: BTreeMap::new(),
            rested_since: None,
            due: None,
            at_rest: false,
        }
    }

    /// Lets everything happen, until nothing is left to happen.
    pub async fn run(&mut self) {
        let end = self.state.lock().now().after(END);
        let mut running: FuturesUnordered<Running> = FuturesUnordered::new();
        loop {
            let now = self.state.lock().now();
            if now > end {
                return;
            }
            self.start_actions(now, &mut running);
            self.start_batches(now, &mut running);
            self.start_sweep(now, &mut running);
            let Some(next) = self.next_event(running.is_empty()) else {
                self.at_rest = true;
                return;
            };
            let wake = self.state.lock().instant(next);
            tokio::select! {
                biased;
                Some(ended) = running.next() => self.end(ended),
                () = sleep_until(wake) => {}
            }
        }
    }

    fn start_actions(&mut self, now: Time, running: &mut FuturesUnordered<Running>) {
        while let Some((at, _)) = self.actions.last()
            && *at <= now
            && let Some((_, action)) = self.actions.pop()
        {
            match (self.request(&action), action) {
                (Some(request), action) => {
                    self.look_at_row(&action);
                    self.tried.push(action.clone());
                    self.start(Function::Api, request, Purpose::Action(action), running);
                }
                // No function is needed: S3 takes the file and sends its event.
                (None, action @ Action::Upload { .. }) => {
                    if let Action::Upload { key, csv, options } = &action {
                        self.upload(key, csv.clone(), options, now);
                    }
                    self.follow(&action, now);
                }
                // Its effect is there, though its answer was lost.
                (None, action) if self.tried.contains(&action) => self.follow(&action, now),
                (None, _) if now > self.start.after(GIVES_UP) => {}
                // No mail yet, no profile yet: people look now and then.
                (None, action) => self.again(action, now),
            }
        }
    }

    /// Schedules what follows an action.
    fn follow(&mut self, done: &Action, now: Time) {
        let next: Vec<_> = self
            .then
            .extract_if(.., |(action, _, _)| action == done)
            .map(|(_, wait, action)| (now.after(wait), action))
            .collect();
        self.actions.extend(next);
        self.sort_actions();
    }

    fn sort_actions(&mut self) {
        self.actions.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    }

    fn start_batches(&mut self, now: Time, running: &mut FuturesUnordered<Running>) {
        for (queue, function, limit) in TRIGGERS {
            while self.busy.get(&function).copied().unwrap_or_default() < CONCURRENCY {
                let limit = 1 + usize::from(self.random.bytes::<1>()[0]) % limit;
                let messages = self.state.lock().queues.receive(queue, limit, now);
                if messages.is_empty() {
                    break;
                }
                let records: Vec<_> = messages
                    .iter()
                    .map(|message| message.record(queue))
                    .collect();
                let event = json!({ "Records": records });
                self.start(function, event, Purpose::Batch { queue, messages }, running);
            }
        }
    }

    /// A sweep that would find nothing changes nothing, and is left out.
    fn start_sweep(&mut self, now: Time, running: &mut FuturesUnordered<Running>) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now.after(SWEEP_EVERY);
        if self.earliest_due().is_some_and(|due| due <= now) {
            self.start(Function::Sweeper, Value::Null, Purpose::Sweep, running);
        }
    }

    fn start(
        &mut self,
        function: Function,
        event: Value,
        purpose: Purpose,
        running: &mut FuturesUnordered<Running>,
    ) {
        *self.busy.entry(function).or_default() += 1;
        let process = self
            .idle
            .entry(function)
            .or_default()
            .pop()
            .unwrap_or_else(|| {
                self.processes += 1;
                Process::start(
                    self.processes,
                    function,
                    &self.state,
                    &self.clock,
                    &self.random,
                )
            });
        running.push(Box::pin(async move {
            let (process, outcome) = process.invoke(event).await;
            (function, process, outcome, purpose)
        }));
    }

    fn end(
        &mut self,
        (function, process, outcome, purpose): (Function, Option<Process>, Outcome, Purpose),
    ) {
        let now = self.state.lock().now();
        *self.busy.entry(function).or_default() -= 1;
        if let Some(process) = process {
            self.idle.entry(function).or_default().push(process);
        } else {
            self.state
                .lock()
                .log
                .note(format!("a process of {} was killed", function.name()));
        }
        match purpose {
            Purpose::Batch { queue, messages } => self.end_batch(queue, &messages, &outcome),
            Purpose::Action(action) => self.end_action(action, &outcome, now),
            Purpose::Sweep => {}
        }
    }

    /// As Lambda takes a partial batch response: an empty or unknown name
    /// fails the whole batch, and so does no answer.
    fn end_batch(&self, queue: &str, messages: &[Message], outcome: &Outcome) {
        let Outcome::Answered(answer) = outcome else {
            return;
        };
        let mut state = self.state.lock();
        let failures: Vec<&str> = match state.bug {
            Some(Bug::WrongBatchAnswer) => Vec::new(),
            _ => answer["batchItemFailures"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|failure| failure["itemIdentifier"].as_str().unwrap_or_default())
                .collect(),
        };
        if failures
            .iter()
            .any(|id| !messages.iter().any(|message| message.id == *id))
        {
            return;
        }
        for message in messages
            .iter()
            .filter(|message| !failures.contains(&message.id.as_str()))
        {
            state.queues.delete(queue, message.receipt());
        }
    }

    fn end_action(&mut self, action: Action, outcome: &Outcome, now: Time) {
        let status = match outcome {
            Outcome::Answered(answer) => answer["status"].as_u64().unwrap_or_default(),
            Outcome::Failed | Outcome::Killed => 500,
        };
        // Nothing to be found is as good an end as any: a link that is used up, a
        // profile that is erased. So is an import that is over.
        let controls = matches!(action, Action::Start | Action::Cancel | Action::Resume);
        let over = || {
            self.import()
                .is_none_or(|(_, status)| !status.starts_with("cancel"))
        };
        let taken = status == 409 && matches!(action, Action::Create(_));
        let done = status < 300 || status == 404 || taken || (status == 409 && controls && over());
        if done
            && status < 300
            && let (Action::Import { csv, .. }, Outcome::Answered(answer)) = (&action, outcome)
        {
            let key = answer["body"]["object"]["key"].as_str().unwrap_or_default();
            self.upload(key, csv.clone(), &BTreeMap::new(), now);
        }
        if done {
            self.record_completed(&action, now);
            self.follow(&action, now);
        } else {
            self.again(action, now);
        }
    }

    /// Remembers whether the row that an action is about is imported already.
    fn look_at_row(&mut self, action: &Action) {
        if let Action::Edit(address) | Action::Erase(address) = action {
            let imported = self.is_imported(address);
            self.imported.insert(address.clone(), imported);
        }
    }

    fn is_imported(&self, address: &str) -> bool {
        let items = self.state.lock().dynamodb.items();
        let mut imports = of_kind(&items, "IMPORT#", "IMPORT");
        imports.any(|import| {
            let id: Option<ImportId> = text(import, "id").parse().ok();
            id.is_some_and(|id| {
                let row = ProfileId::imported(id, address);
                find(&items, &format!("PROFILE#{row}"), "PROFILE").is_some()
            })
        })
    }

    /// Records an edit or erasure of a row that was imported when it began, and a resume
    /// of an import that stood still.
    fn record_completed(&mut self, action: &Action, now: Time) {
        let completed = match action {
            Action::Edit(address) if self.imported.get(address) == Some(&true) => {
                CompletedAction::Edited(address.clone())
            }
            Action::Erase(address) if self.imported.get(address) == Some(&true) => {
                CompletedAction::Erased(address.clone())
            }
            Action::Resume => match self.rested_since.take() {
                Some(since) => CompletedAction::Resumed(since.as_millis(), now.as_millis()),
                None => return,
            },
            _ => return,
        };
        self.state.lock().completed_actions.push(completed);
    }

    /// The import, and what it is at.
    fn import(&self) -> Option<(String, String)> {
        let items = self.state.lock().dynamodb.items();
        let import = of_kind(&items, "IMPORT#", "IMPORT").next()?;
        Some((text(import, "id"), text(import, "status")))
    }

    fn again(&mut self, action: Action, now: Time) {
        self.actions.push((now.after(PATIENCE), action));
        self.sort_actions();
    }

    /// What the API is asked for; nothing, if there is nothing to ask for yet,
    /// or any more.
    fn request(&mut self, action: &Action) -> Option<Value> {
        let person =
            |address: &str| json!({ "email": address, "name": "Somebody", "locale": "de" });
        Some(match action {
            Action::SignUp(address) => {
                json!({ "method": "POST", "path": "/signup", "body": person(address) })
            }
            Action::SignUpAs { address, name } => {
                let locale = if *name == "First" { "de" } else { "en" };
                let attributes = json!({ "by": name, *name: "yes" });
                let body = json!({ "email": address, "name": name, "locale": locale, "attributes": attributes });
                json!({ "method": "POST", "path": "/signup", "body": body })
            }
            Action::Resend(address) => {
                json!({ "method": "POST", "path": "/signup/resend", "body": { "email": address } })
            }
            Action::Confirm(address) => {
                let token = self.token_of(address)?;
                json!({ "method": "POST", "path": "/confirm", "body": { "token": token } })
            }
            Action::RejectSignup(address) => {
                let form = format!("token={}", self.token_of(address)?);
                let headers = json!({ "content-type": "application/x-www-form-urlencoded" });
                json!({ "method": "POST", "path": "/not-me", "headers": headers, "body": form })
            }
            Action::Create(address) => {
                let headers = json!({ "idempotency-key": address });
                json!({ "method": "POST", "path": "/profiles", "headers": headers, "body": person(address) })
            }
            Action::Move { from, to } => {
                let path = self.path_of(from)?;
                let headers = json!({ "if-match": "*" });
                json!({ "method": "PATCH", "path": path, "headers": headers, "body": { "email": to, "locale": "en-GB" } })
            }
            Action::Edit(address) => {
                let path = self.path_of(address)?;
                let headers = json!({ "if-match": "*" });
                json!({ "method": "PATCH", "path": path, "headers": headers, "body": { "name": EDITED } })
            }
            Action::Erase(address) => {
                json!({ "method": "DELETE", "path": self.path_of(address)?, "body": null })
            }
            Action::Import {
                options, manual, ..
            } => {
                let headers = json!({ "idempotency-key": "import" });
                let mut body = json!(options);
                body["dry_run"] = json!(options.get("dry_run").is_some_and(|dry| dry == "true"));
                body["start"] = json!(if *manual { "manual" } else { "automatic" });
                json!({ "method": "POST", "path": "/imports", "headers": headers, "body": body })
            }
            Action::Start | Action::Cancel => {
                let (id, _) = self.import()?;
                let verb = if *action == Action::Start {
                    "start"
                } else {
                    "cancel"
                };
                json!({ "method": "POST", "path": format!("/imports/{id}/{verb}"), "body": null })
            }
            Action::Resume => {
                let (id, status) = self.import()?;
                match status.as_str() {
                    // Not yet: it is answered so.
                    "cancelling" => return None,
                    "cancelled" => self.rested_since = Some(self.state.lock().now()),
                    _ => {}
                }
                json!({ "method": "POST", "path": format!("/imports/{id}/resume"), "body": {} })
            }
            Action::Upload { .. } => return None,
        })
    }

    /// The token in the newest mail to an address.
    fn token_of(&self, address: &str) -> Option<String> {
        let state = self.state.lock();
        let mut mails = state.ses.accepted.iter().rev();
        let mail = mails.find(|mail| mail.to == address && !mail.token.is_empty())?;
        Some(mail.token.clone())
    }

    fn path_of(&self, address: &str) -> Option<String> {
        let owner = self.state.lock().dynamodb.owner(address)?;
        Some(format!("/profiles/{owner}"))
    }

    fn upload(
        &mut self,
        key: &str,
        csv: Vec<u8>,
        options: &BTreeMap<&'static str, String>,
        now: Time,
    ) {
        self.uploads += 1;
        let mut state = self.state.lock();
        let event = state.s3.upload_with(key, csv, options, self.uploads);
        // At least once, and twice now and then.
        for _ in 0..1 + usize::from(self.random.bytes::<1>()[0] < 64) {
            state.queues.send(IMPORT, &event, Duration::ZERO, now);
        }
    }

    /// When the next thing happens by itself; nothing, if nothing ever will.
    fn next_event(&mut self, idle: bool) -> Option<Time> {
        let action = self.actions.last().map(|(at, _)| *at);
        let message = self.state.lock().queues.next_visible();
        let soonest = [action, message].into_iter().flatten().min();
        if !idle {
            // What is running may change everything; look again at the sweep.
            return Some(
                soonest
                    .map_or(self.next_sweep, |at| at.min(self.next_sweep))
                    .max(self.soon()),
            );
        }
        let sweep = self.earliest_due().map(|due| due.max(self.next_sweep));
        [soonest.map(|at| at.max(self.soon())), sweep]
            .into_iter()
            .flatten()
            .min()
    }

    /// A message that is visible while its function is busy is no reason to
    /// look again at once.
    fn soon(&self) -> Time {
        self.state.lock().now().after(Duration::from_millis(1))
    }

    fn earliest_due(&mut self) -> Option<Time> {
        let state = self.state.lock();
        // Only a call changes the table.
        let calls = state.log.calls.len();
        if self.due.is_none_or(|(known, _)| known != calls) {
            let items = state.dynamodb.due();
            self.due = Some((calls, items.iter().filter_map(due_at).min()));
        }
        self.due.and_then(|(_, due)| due)
    }
}
