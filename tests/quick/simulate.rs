//! The stand-in for the JD client, from outside: the built program is run as a supervisor would run
//! the real one.
//!
//! Only what needs a process is tested here: command line, ports, signals, exit codes, standard
//! output. What the stand-in makes up and how it writes it is tested beside its source.

mod translator;

use crate::harness::{PROGRAM, free_port};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const READY: &str = "Required template data received, ready to accept connections";
/// Longer than anything takes on a busy machine; no test waits that long unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with a configuration file on free ports.
struct Setup {
    dir: TempDir,
    listening: SocketAddr,
    monitoring: SocketAddr,
}

impl Setup {
    fn solo() -> Self {
        Self::new("SOLOMINING", "upstreams = []")
    }

    fn pool() -> Self {
        Self::new(
            "FULLTEMPLATE",
            "[[upstreams]]\nauthority_pubkey = \"unread\"\npool_address = \"pool.example\"\npool_port = 3333\njds_address = \
             \"pool.example\"\njds_port = 3334\nuser_identity = \"account.worker\"",
        )
    }

    fn new(mode: &str, upstreams: &str) -> Self {
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let setup = Self {
            dir: TempDir::new().unwrap(),
            listening: local(free_port()),
            monitoring: local(free_port()),
        };
        let config = format!(
            "listening_address = \"{}\"\nmonitoring_address = \"{}\"\nmonitoring_cache_refresh_secs = 1\nmode = \
             \"{mode}\"\nmax_supported_version = 2\nmin_supported_version = 2\nauthority_public_key = \
             \"unread\"\nauthority_secret_key = \"unread\"\ncert_validity_sec = 3600\nshares_per_minute = 600.0\nshare_batch_size \
             = 5\njdc_signature = \"test\"\ncoinbase_reward_script = \"unread\"\n{upstreams}\n[template_provider_type.Sv2Tp]\naddress \
             = \"127.0.0.1:8442\"\n",
            setup.listening, setup.monitoring
        );
        std::fs::write(setup.config(), config).unwrap();
        setup
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("simulate")
            .arg("-c")
            .arg(self.config())
            .args(flags)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    fn start(&self, flags: &[&str]) -> Running {
        Running::start(&mut self.command(flags))
    }

    /// Runs it to its end; how it ended, and what it wrote to standard output.
    fn run(&self, flags: &[&str]) -> (ExitStatus, String) {
        let (status, lines) = self.start(flags).end();
        (status, lines.join("\n"))
    }
}

/// A running stand-in whose lines are read as they come; killed when the test is over.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                if tell.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Reads on to the first line with this text.
    fn line_with(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {text:?}: {error}"),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; how it ended, and the lines not read before.
    fn end(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() > deadline => panic!("it does not end"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let rest = self.lines.iter().collect();
        (status, rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything the address answers to one request.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn json(address: SocketAddr, path: &str) -> serde_json::Value {
    let answer = String::from_utf8(ask(address, path).unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap()
}

/// Asks again until the answer is as wanted: the figures are refreshed once a second.
fn json_until(
    address: SocketAddr,
    path: &str,
    wanted: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = json(address, path);
        if wanted(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path} stays at {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_command_line_is_the_clients() {
    let run = |args: &[&str]| {
        Command::new(PROGRAM)
            .arg("simulate")
            .args(args)
            .output()
            .unwrap()
    };
    let version = run(&["--version"]);
    assert_eq!(
        (version.status.code(), &*version.stdout),
        (Some(0), &b"jd_client_sv2 0.6.0\n"[..])
    );
    assert_eq!(
        run(&["--pretend-version", "0.5.0", "-V"]).stdout,
        b"jd_client_sv2 0.5.0\n"
    );
    let unknown = run(&["--bogus"]);
    assert_eq!(
        (unknown.status.code(), &*unknown.stdout),
        (Some(2), &b""[..])
    );
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("unexpected argument '--bogus' found")
    );
}

#[test]
fn a_bad_configuration_is_complained_of_on_standard_error_alone() {
    let setup = Setup::solo();
    let run = |config: &Path| {
        Command::new(PROGRAM)
            .args(["simulate", "-c"])
            .arg(config)
            .output()
            .unwrap()
    };
    let missing = run(&setup.path("nope.toml"));
    assert_eq!(
        (missing.status.code(), &*missing.stdout),
        (Some(1), &b""[..])
    );
    let said = String::from_utf8(missing.stderr).unwrap();
    let expected = "Job Declarator Client config error: Bad `config` TOML deserialize: `no configuration found: `";
    assert!(said.starts_with(expected), "{said}");

    let text = std::fs::read_to_string(setup.config()).unwrap();
    std::fs::write(
        setup.config(),
        text.replace("jdc_signature = \"test\"\n", ""),
    )
    .unwrap();
    let incomplete = run(&setup.config());
    assert_eq!(
        (incomplete.status.code(), &*incomplete.stdout),
        (Some(1), &b""[..])
    );
    assert_eq!(
        String::from_utf8(incomplete.stderr).unwrap(),
        "Job Declarator Client config error: Bad `config` TOML deserialize: `missing field `jdc_signature``\n"
    );

    let setup = Setup::solo();
    let no_log = setup
        .command(&["-f", setup.path("no/such/dir").to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(
        (no_log.status.code(), &*no_log.stdout),
        (Some(101), &b""[..])
    );
    let said = String::from_utf8(no_log.stderr).unwrap();
    assert!(
        said.contains("Failed to open log file: Os { code: 2, kind: NotFound"),
        "{said}"
    );
}

#[test]
fn it_starts_is_monitored_and_ends_in_good_order_when_interrupted() {
    let setup = Setup::pool();
    let running = setup.start(&["--miners", "2", "--hashrate", "2e14"]);
    running.line_with("Sv2 Template Provider setup done");
    running.line_with("Trying upstream 1 of 1: pool=pool.example:3333, jds=pool.example:3334");
    running.line_with("Job declarator: SV2 handshake completed successfully.");
    running.line_with(READY);
    for _ in 0..2 {
        running.line_with("New downstream connection socket_address=192.0.2.");
    }
    running.line_with(" ☑️");
    let accepted = running.line_with("Received: SubmitSharesSuccess(channel_id=7, ");
    assert!(accepted.ends_with(" ✅"), "{accepted}");

    let global = json_until(setup.monitoring, "/api/v1/global", |global| {
        global["sv2_clients"]["total_clients"] == 2
    });
    let hashrate = global["sv2_clients"]["total_hashrate"].as_f64().unwrap();
    assert!((hashrate / 2e14 - 1.0).abs() < 1e-5, "{hashrate}");
    let shares = |channels: &serde_json::Value| {
        channels["extended_channels"][0]["shares_acknowledged"].as_u64()
    };
    json_until(setup.monitoring, "/api/v1/server/channels", |channels| {
        shares(channels) > Some(0)
    });
    assert_eq!(json(setup.monitoring, "/api/v1/health")["status"], "ok");
    let metrics = String::from_utf8(ask(setup.monitoring, "/metrics").unwrap()).unwrap();
    assert!(metrics.contains("\nsv2_clients_total 2\n"), "{metrics}");

    drop(TcpStream::connect(setup.listening).unwrap());
    running.line_with("Noise handshake failed error=SocketClosed");

    running.signal(Signal::INT);
    running.line_with(" INFO jd_client_sv2: Ctrl+C received — initiating graceful shutdown...");
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(0));
    assert!(
        rest.iter()
            .any(|line| line.ends_with("jd_client_sv2::jdc_runtime: JD Client shutdown complete.")),
        "{rest:#?}"
    );
    assert!(
        rest.last()
            .unwrap()
            .ends_with(" INFO jd_client_sv2: JobDeclaratorClient dropped"),
        "{rest:#?}"
    );
    assert!(TcpStream::connect(setup.monitoring).is_err());
}

#[test]
fn other_signals_kill_it_without_a_word() {
    for signal in [Signal::TERM, Signal::HUP] {
        let setup = Setup::solo();
        let running = setup.start(&["--miners", "0"]);
        running.line_with(READY);
        running.signal(signal);
        let (status, rest) = running.end();
        assert_eq!((status.signal(), rest), (Some(signal.as_raw()), Vec::new()));
    }
}

#[test]
fn a_port_in_use_ends_the_start_with_the_clients_exit_codes() {
    let setup = Setup::solo();
    let taken = TcpListener::bind(setup.listening).unwrap();
    let (status, said) = setup.run(&[]);
    let expected = format!(
        "jd_client_sv2::channel_manager: Failed to bind downstream server at {} error=Os {{ code: ",
        setup.listening
    );
    assert!(
        said.contains(&expected) && said.contains("kind: AddrInUse"),
        "{said}"
    );
    assert_eq!(status.code(), Some(1));
    drop(taken);

    let _taken = TcpListener::bind(setup.monitoring).unwrap();
    let (status, said) = setup.run(&[]);
    assert!(
        said.contains("ERROR jd_client_sv2::jdc_runtime: Monitoring server error: Os { code: "),
        "{said}"
    );
    assert_eq!(status.code(), Some(0));
}

#[test]
fn failed_starts_have_the_clients_lines_and_exit_codes() {
    for (situation, code, line) in [
        (
            "template-provider",
            1,
            "ERROR jd_client_sv2: Failed to bootstrap JDC kind=CouldNotInitiateSystem",
        ),
        (
            "listen-port",
            1,
            "ERROR jd_client_sv2: Failed to bootstrap JDC kind=Io(Os { code: ",
        ),
        (
            "monitoring-port",
            0,
            "ERROR jd_client_sv2::jdc_runtime: Monitoring server error: Os { code: ",
        ),
        (
            "panic",
            101,
            "ERROR stratum_apps::config_helpers::logging: panic: panicked at ",
        ),
    ] {
        let (status, said) =
            Setup::solo().run(&["--fail-with", situation, "--retry-pause", "10ms"]);
        assert!(said.contains(line), "{situation}: {said}");
        assert_eq!(status.code(), Some(code), "{situation}");
    }
    let (status, said) = Setup::solo().run(&["--fail-with", "config"]);
    assert_eq!((status.code(), &*said), (Some(1), ""));

    let setup = Setup::pool();
    let alone = setup.start(&["--fail-with", "pool", "--retry-pause", "10ms"]);
    alone.line_with("Attempt 3/3 failed for pool=pool.example:3333");
    alone.line_with("Upstream initialization failed; falling back to solo mining mode");
    alone.line_with(READY);
}

#[test]
fn it_dies_when_and_how_it_is_told() {
    let (exited, _) = Setup::solo().run(&["--die-after", "50ms", "--exit-code", "7"]);
    assert_eq!(exited.code(), Some(7));
    let (killed, _) = Setup::solo().run(&["--die-after", "50ms", "--die-by-signal", "9"]);
    assert_eq!(killed.signal(), Some(9));
    let (aborted, _) = Setup::solo().run(&[
        "--die-after",
        "50ms",
        "--die-by-signal",
        "6",
        "--startup-delay",
        "1h",
    ]);
    assert_eq!(aborted.signal(), Some(6));
}

#[test]
fn once_it_fails_and_then_it_works() {
    let setup = Setup::solo();
    let seen = setup.path("seen");
    let flags = ["--fail-with", "panic", "--once", seen.to_str().unwrap()];
    assert_eq!(setup.run(&flags).0.code(), Some(101));
    let running = setup.start(&flags);
    running.line_with(READY);
    running.signal(Signal::INT);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn numbered_lines_are_whole_and_exact() {
    let setup = Setup::solo();
    let log = setup.path("client.log");
    let flags = [
        "--no-sockets",
        "--lines-per-second",
        "max",
        "--lines-total",
        "50000",
        "--line-bytes",
        "150",
    ];
    let running = Running::start(setup.command(&flags).arg("-f").arg(&log));
    let mut next = 1;
    while next <= 50_000 {
        let line = running.lines.recv_timeout(PATIENCE).unwrap();
        if let Some((_, rest)) = line.split_once("  INFO jd_client_sv2::simulate: line n=") {
            assert_eq!(rest.split(' ').next().unwrap(), next.to_string());
            assert_eq!(line.len(), 150);
            next += 1;
        }
    }
    running.signal(Signal::INT);
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(0));
    assert!(!rest.iter().any(|line| line.contains("line n=")));
    let file = std::fs::read_to_string(log).unwrap();
    assert_eq!(
        file.lines().filter(|line| line.contains("line n=")).count(),
        50_000
    );
    assert!(file.ends_with("JobDeclaratorClient dropped\n"));
}

#[test]
fn numbered_lines_come_at_the_rate_asked_for_until_there_are_enough() {
    let setup = Setup::solo();
    let running = setup.start(&[
        "--no-sockets",
        "--lines-per-second",
        "2000",
        "--lines-total",
        "300",
    ]);
    let first = running.line_with("line n=1 ");
    running.line_with("line n=300 ");
    let time: jiff::Timestamp = first.split(' ').next().unwrap().parse().unwrap();
    assert!(time <= jiff::Timestamp::now());
    running.signal(Signal::INT);
    assert!(!running.end().1.iter().any(|line| line.contains("line n=")));
}

#[test]
fn when_the_pool_is_lost_it_mines_on_alone_on_the_same_ports() {
    let setup = Setup::pool();
    let running = setup.start(&["--fall-back-after", "600ms"]);
    running.line_with(READY);
    running.line_with("Received: SubmitSharesSuccess(channel_id=7");
    running.line_with("WARN jd_client_sv2::jdc_runtime: Upstream/Job Declarator connection dropped — attempting reconnection...");
    running
        .line_with("Upstream previously marked as malicious, skipping initial attempt warnings.");
    running.line_with("INFO jd_client_sv2::jdc_runtime: Starting in solo mining mode");
    running.line_with(READY);
    running.line_with("New downstream connection socket_address=192.0.2.1:");
    let alone = json_until(setup.monitoring, "/api/v1/global", |global| {
        global["sv2_clients"]["total_clients"] == 3
    });
    assert_eq!(alone["server"]["total_channels"], 0);
    running.signal(Signal::INT);
    let (status, rest) = running.end();
    assert_eq!(status.code(), Some(0));
    assert!(
        !rest
            .iter()
            .any(|line| line.contains("channel_manager::upstream_message_handler"))
    );
}

#[test]
fn when_the_template_provider_is_lost_it_ends_as_if_all_were_well() {
    let (status, said) = Setup::solo().run(&["--lose-template-provider-after", "50ms"]);
    assert_eq!(status.code(), Some(0));
    let line = "ERROR jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver template provider handler failed: JDCError";
    assert!(
        said.contains(line) && said.contains("JD Client shutdown complete."),
        "{said}"
    );
    assert!(!said.contains("Ctrl+C"));
}

#[test]
fn it_can_ignore_signals() {
    let setup = Setup::solo();
    let running = setup.start(&[
        "--ignore-sigint",
        "--ignore-sigterm",
        "--lines-per-second",
        "100",
    ]);
    running.line_with("line n=1 ");
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    let n: u32 = loop {
        let line = running.lines.recv_timeout(PATIENCE).unwrap();
        assert!(!line.contains("Ctrl+C"));
        if let Some((_, n)) = line.split_once("line n=") {
            break n.split(' ').next().unwrap().parse().unwrap();
        }
    };
    running.line_with(&format!("line n={} ", n + 50));
    running.signal(Signal::KILL);
    assert_eq!(running.end().0.signal(), Some(9));
}

#[test]
fn its_grandchild_outlives_it_and_must_be_killed() {
    let setup = Setup::solo();
    let running = setup.start(&["--fork-grandchild"]);
    let line = running.line_with("INFO jd_client_sv2::simulate: grandchild pid=");
    let pid = Pid::from_raw(line.rsplit('=').next().unwrap().parse().unwrap()).unwrap();
    let group = |pid: Pid| rustix::process::getpgid(Some(pid)).unwrap();
    assert_eq!(group(pid), group(Pid::from_child(&running.child)));
    for signal in [Signal::INT, Signal::TERM] {
        kill_process(pid, signal).unwrap();
    }
    running.line_with(READY);
    running.signal(Signal::KILL);
    let mut running = running;
    running.child.wait().unwrap();
    assert!(test_kill_process(pid).is_ok(), "it is still there");
    kill_process(pid, Signal::KILL).unwrap();
    // Its end closes standard output, which the grandchild had kept open.
    while running.lines.recv_timeout(PATIENCE).is_ok() {}
}

#[test]
fn the_monitoring_api_can_be_silent_or_talk_nonsense() {
    let setup = Setup::solo();
    let running = setup.start(&["--refuse-monitoring"]);
    running.line_with(READY);
    let mut stream = TcpStream::connect(setup.monitoring).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    drop(running);

    for (flag, start) in [
        ("--monitoring-garbage", "HTTP/1.1 200 OK\r\n"),
        ("--monitoring-garbage=bytes", "\0\u{1}\u{2}SSH"),
    ] {
        let setup = Setup::solo();
        let running = setup.start(&[flag]);
        running.line_with(READY);
        let answer = ask(setup.monitoring, "/api/v1/global").unwrap();
        assert!(answer.starts_with(start.as_bytes()), "{flag}");
        let body = answer
            .windows(4)
            .position(|end| end == b"\r\n\r\n")
            .map_or(&answer[..], |at| &answer[at + 4..]);
        assert!(serde_json::from_slice::<serde_json::Value>(body).is_err());
    }

    let setup = Setup::solo();
    let running = setup.start(&["--monitoring-garbage=endless"]);
    running.line_with(READY);
    let mut stream = TcpStream::connect(setup.monitoring).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    std::io::copy(&mut stream.take(4 << 20), &mut std::io::sink()).unwrap();
}

#[test]
fn memory_grows_when_told() {
    let setup = Setup::solo();
    let running = setup.start(&["--no-sockets", "--grow-memory", "40"]);
    running.line_with(READY);
    let resident_kib = || -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let deadline = Instant::now() + PATIENCE;
    while resident_kib() < 40 << 10 {
        assert!(Instant::now() < deadline, "still at {} KiB", resident_kib());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_wrapper_script_can_stand_for_the_client() {
    let setup = Setup::solo();
    let script = setup.path("jd_client_sv2");
    std::fs::write(
        &script,
        format!("#!/bin/sh\nexec {PROGRAM} simulate --pretend-version 0.3.0 --miners 1 \"$@\"\n"),
    )
    .unwrap();
    let client = |args: &[&str]| {
        let mut command = Command::new("sh");
        command.arg(&script).args(args).env_remove("RUST_LOG");
        command
    };
    assert_eq!(
        client(&["--version"]).output().unwrap().stdout,
        b"jd_client_sv2 0.3.0\n"
    );
    let running = Running::start(&mut client(&["-c", setup.config().to_str().unwrap()]));
    running.line_with(READY);
    running.signal(Signal::INT);
    assert_eq!(running.end().0.code(), Some(0));
}
