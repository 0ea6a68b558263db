//! Starts the emulator and stops it.
//!
//! It runs in a process group of its own, with the functions' processes as its
//! children, so that stopping the group leaves nothing behind. A file keeps
//! its id; before anything is signalled, the process of that id must still be
//! the emulator.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use muster_cli::http;
use muster_cli::trouble::{OrTrouble, Trouble};
use tokio::time::{Instant, sleep};

use crate::console::Console;
use crate::place::{CREDENTIAL, Place, REGION, last_lines};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(100);

/// Makes sure that an emulator answers at the place.
///
/// # Errors
/// When it cannot be started, or something else has the port.
pub async fn start(place: &Place) -> Result<(), Trouble> {
    if let Some(endpoint) = &place.given_endpoint {
        return if answers(endpoint).await {
            Ok(())
        } else {
            Err(Trouble::new(
                format!("nothing answers at AWS_ENDPOINT_URL={endpoint}"),
                "Start that emulator, or unset AWS_ENDPOINT_URL to let this start one.",
            ))
        };
    }
    if ours(place).is_some() && answers(&place.endpoint()).await {
        return Ok(());
    }
    if tokio::net::TcpStream::connect(("127.0.0.1", place.port))
        .await
        .is_ok()
    {
        return Err(port_taken(place));
    }
    launch(place)?;
    wait_until_healthy(place).await
}

/// Stops the emulator and everything it started. Fine if nothing runs.
///
/// # Errors
/// When it does not stop.
pub async fn stop(place: &Place, console: &Console) -> Result<(), Trouble> {
    let Some(group) = ours(place) else {
        console.line("Nothing is running.");
        return Ok(());
    };
    console.step("Stopping the local stack", end(group)).await?;
    for left in ["emulator.pid", "env"] {
        // Gone is gone, whoever removed it.
        let _ = std::fs::remove_file(place.file(left));
    }
    let _ = std::fs::remove_dir_all(place.file("tmp"));
    Ok(())
}

/// Asks a process group to end, and makes it if it does not.
async fn end(group: u32) -> Result<(), Trouble> {
    let start = Instant::now();
    let mut asked = "TERM";
    while signal(asked, group) {
        asked = if start.elapsed() > STOP_LIMIT {
            "KILL"
        } else {
            "0"
        };
        if start.elapsed() > 2 * STOP_LIMIT {
            break;
        }
        sleep(POLL).await;
    }
    if is_emulator(group) {
        return Err(Trouble::new(
            format!("process group {group} does not stop"),
            format!("kill -s KILL -- -{group}"),
        ));
    }
    Ok(())
}

fn launch(place: &Place) -> Result<(), Trouble> {
    let program = place.tool("emulator", "ministack")?;
    let remedy = "Check that the folder can be written to.";
    let tmp = place.file("tmp");
    std::fs::create_dir_all(&tmp)
        .or_trouble(format!("{} cannot be made", tmp.display()), remedy)?;
    let log = place.file("emulator.log");
    let output =
        File::create(&log).or_trouble(format!("{} cannot be written", log.display()), remedy)?;
    let errors = output
        .try_clone()
        .or_trouble(format!("{} cannot be written", log.display()), remedy)?;
    let child = Command::new(program)
        // The functions inherit what the emulator has, so it gets little.
        .env_clear()
        .envs(
            ["PATH", "HOME"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", place.port.to_string())
        // How the functions find it again.
        .env("AWS_ENDPOINT_URL", place.endpoint())
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", CREDENTIAL)
        .env("AWS_SECRET_ACCESS_KEY", CREDENTIAL)
        .env("TMPDIR", &tmp)
        .env("STATE_DIR", tmp.join("state"))
        // A broker that nothing of ours needs, on a port that others may.
        .env("IOT_MTLS_ENABLED", "0")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .or_trouble(
            "the emulator cannot be started",
            "rm -rf .venv and try again: that installs it anew.",
        )?;
    std::fs::write(place.file("emulator.pid"), child.id().to_string())
        .or_trouble("emulator.pid cannot be written", remedy)
}

async fn wait_until_healthy(place: &Place) -> Result<(), Trouble> {
    let start = Instant::now();
    while !answers(&place.endpoint()).await {
        if ours(place).is_none() || start.elapsed() > START_LIMIT {
            let log = place.file("emulator.log");
            return Err(Trouble::new(
                format!(
                    "the emulator did not start; its log ends with\n{}",
                    last_lines(&log, 15)
                ),
                format!("The whole log is {}.", log.display()),
            ));
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// LocalStack answers to the same path.
async fn answers(endpoint: &str) -> bool {
    let health = format!("{endpoint}/_localstack/health");
    let Ok(http) = http::client(endpoint) else {
        return false;
    };
    http.get(health)
        .timeout(Duration::from_secs(2))
        .send()
        .await
        .is_ok_and(|response| response.status().is_success())
}

fn port_taken(place: &Place) -> Trouble {
    Trouble::new(
        format!("port {} is taken by something else", place.port),
        format!(
            "Stop that, or choose another port: MUSTER_LOCAL_PORT={} make up",
            place.port.saturating_add(1)
        ),
    )
}

/// The process group of our emulator, if it runs.
fn ours(place: &Place) -> Option<u32> {
    let pid = std::fs::read_to_string(place.file("emulator.pid"))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    is_emulator(pid).then_some(pid)
}

fn is_emulator(pid: u32) -> bool {
    command_line(pid).is_some_and(|command| command.contains("ministack"))
}

/// From /proc where there is one; `ps` is everywhere else.
fn command_line(pid: u32) -> Option<String> {
    let command = if Path::new("/proc/self/cmdline").exists() {
        std::fs::read(format!("/proc/{pid}/cmdline")).ok()?
    } else {
        let pid = pid.to_string();
        Command::new("ps")
            .args(["-o", "command=", "-p", &pid])
            .output()
            .ok()?
            .stdout
    };
    Some(String::from_utf8_lossy(&command).into_owned())
}

/// Sends a signal to every process of a group; says whether there was one.
/// Every shell has `kill`, not every machine has the program.
fn signal(name: &str, group: u32) -> bool {
    Command::new("sh")
        .args(["-c", &format!("kill -s {name} -- -{group}")])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_emulator_is_taken_for_one() {
        assert!(!is_emulator(std::process::id()));
        assert!(!is_emulator(u32::MAX));
    }

    #[tokio::test]
    async fn a_group_that_is_ended_leaves_nobody_behind() {
        let mut leader = Command::new("sh")
            .args(["-c", "sleep 600 & sleep 600"])
            .process_group(0)
            .spawn()
            .unwrap();
        let group = leader.id();
        assert!(signal("0", group));
        let reaper = std::thread::spawn(move || leader.wait());
        end(group).await.unwrap();
        assert!(!signal("0", group));
        reaper.join().unwrap().unwrap();
    }
}
