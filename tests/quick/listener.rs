//! The listener: slow, large and many requests, TLS, the Unix socket, and the reported address of a
//! request.

use crate::harness::{self, Manager, PROGRAM, Plan, free_port, until};
use axum::Extension;
use jd_manager::server::listener::{self, BoundListener, SocketRequirement, TlsFiles, TlsState};
use jd_manager::web::PeerAddress;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_util::sync::CancellationToken;

/// A request on a connection that is closed after it.
fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// Sends it and reads to the end.
async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn address(manager: &Manager) -> SocketAddr {
    manager
        .url("")
        .split_once("://")
        .unwrap()
        .1
        .parse()
        .unwrap()
}

async fn connect(manager: &Manager) -> TcpStream {
    TcpStream::connect(address(manager)).await.unwrap()
}

async fn is_well(manager: &Manager) {
    let begun = Instant::now();
    let answer = talk(connect(manager).await, &get("/health")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "an honest request took {:?}",
        begun.elapsed()
    );
}

fn with(flags: &[&str]) -> Plan {
    Plan {
        simulate: Vec::new(),
        client: None,
        flags: flags.iter().map(ToString::to_string).collect(),
    }
}

/// Waits for the other side to close; how long that took, and what it said.
async fn closed(mut stream: TcpStream, limit: Duration) -> (Duration, String) {
    let begun = Instant::now();
    let mut said = Vec::new();
    let end = tokio::time::timeout(limit, stream.read_to_end(&mut said)).await;
    assert!(
        end.is_ok(),
        "still open after {limit:?}: {:?}",
        String::from_utf8_lossy(&said)
    );
    (begun.elapsed(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_slow_is_let_go_and_holds_up_nobody() {
    let manager = Manager::launch(with(&["--max-connections", "200"])).await;
    // Heads that come a byte at a time.
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(&manager).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-")
            .await
            .unwrap();
        slow.push(tokio::spawn(async move {
            let begun = Instant::now();
            let mut answer = [0; 1024];
            loop {
                tokio::select! {
                    read = stream.read(&mut answer) => break (begun.elapsed(), read.unwrap_or(0)),
                    () = tokio::time::sleep(Duration::from_millis(500)) => {
                        if stream.write_all(b"a").await.is_err() {
                            break (begun.elapsed(), 0);
                        }
                    }
                }
                assert!(
                    begun.elapsed() < Duration::from_secs(20),
                    "it may go on for ever"
                );
            }
        }));
    }
    // A silent connection, an idle one after a response, and one without its body.
    let silent = connect(&manager).await;
    let mut idle = connect(&manager).await;
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut body = connect(&manager).await;
    let head = "POST /api/instances HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    body.write_all(head.as_bytes()).await.unwrap();
    is_well(&manager).await;

    let (silent, idle, body) = tokio::join!(
        closed(silent, Duration::from_secs(20)),
        closed(idle, Duration::from_secs(20)),
        closed(body, Duration::from_secs(45))
    );
    for (what, (after, _)) in [("silence", &silent), ("idleness", &idle)] {
        assert!(
            (9..15).contains(&after.as_secs()),
            "{what} was borne for {after:?}"
        );
    }
    assert!(idle.1.starts_with("HTTP/1.1 200 "), "{}", idle.1);
    assert!(
        (25..40).contains(&body.0.as_secs()),
        "a body that stands still was borne for {:?}",
        body.0
    );
    assert!(
        body.1.starts_with("HTTP/1.1 4") && body.1.contains("content-security-policy"),
        "{}",
        body.1
    );
    for slow in slow {
        let (after, said) = slow.await.unwrap();
        assert!(
            (9..15).contains(&after.as_secs()) && said == 0,
            "a slow head was borne for {after:?}"
        );
    }
    is_well(&manager).await;
}

/// Each byte is progress, but at a byte a second a connection would be taken for a year.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_a_byte_a_second_is_let_go_and_an_event_stream_is_not() {
    let lines = [
        "--lines-per-second",
        "max",
        "--line-bytes",
        "1000",
        "--lines-total",
        "30000",
    ];
    let manager = Manager::with_simulated(&lines).await;
    let id = manager.instance("barn").await;
    manager.act(&format!("/api/instances/{id}/start")).await;
    until("a long log", || async {
        manager
            .log_text(&id)
            .contains("line n=30000 ")
            .then_some(())
    })
    .await;
    let quiet = {
        let mut stream = connect(&manager).await;
        stream.write_all(b"GET /api/instances HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await.unwrap();
        stream
    };
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut slow = socket.connect(address(&manager)).await.unwrap();
    slow.write_all(get(&format!("/instances/{id}/log.txt")).as_bytes())
        .await
        .unwrap();
    let begun = Instant::now();
    let mut byte = [0];
    loop {
        // What the kernel holds for it can still be read when the connection is closed, so its
        // state is asked for.
        tokio::time::sleep(Duration::from_secs(1)).await;
        if slow.read(&mut byte).await.is_err() || !is_open(&manager, slow.local_addr().unwrap()) {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(140),
            "it may go on for ever"
        );
    }
    assert!(
        begun.elapsed() > Duration::from_secs(55),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        is_open(&manager, quiet.local_addr().unwrap()),
        "an event stream with little to say goes on"
    );
    is_well(&manager).await;
}

/// Whether the manager's end of a connection is open.
fn is_open(manager: &Manager, peer: SocketAddr) -> bool {
    let own = format!(":{:04X} ", address(manager).port());
    let other = format!(":{:04X} 01 ", peer.port());
    std::fs::read_to_string("/proc/net/tcp")
        .unwrap()
        .lines()
        .any(|line| line.contains(&own) && line.contains(&other))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_too_much_is_told_so() {
    let manager = Manager::start().await;
    let flood = |head: &'static str, line: String, times: usize, end: &'static str| {
        let manager = &manager;
        async move {
            let (mut read, mut write) = connect(manager).await.into_split();
            let written = async move {
                write.write_all(head.as_bytes()).await?;
                for _ in 0..times {
                    write.write_all(line.as_bytes()).await?;
                }
                write.write_all(end.as_bytes()).await
            };
            let answer = async move {
                let mut answer = Vec::new();
                // Cut off in the middle of writing it may not be readable any more; what came
                // before it is.
                let _ = read.read_to_end(&mut answer).await;
                String::from_utf8_lossy(&answer).into_owned()
            };
            tokio::time::timeout(Duration::from_secs(20), async {
                tokio::join!(written, answer)
            })
            .await
            .expect("it goes on for ever")
        }
    };
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    // 10 MB in one header, in many, and many small ones.
    for (line, times, end) in [
        ("x".repeat(1 << 20), 10, "\r\n\r\n"),
        (format!("X-A: {}\r\n", "x".repeat(1000)), 10_000, "\r\n"),
        ("X-A: b\r\n".into(), 150, "\r\n"),
    ] {
        let head = if times == 10 {
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: "
        } else {
            head
        };
        let (_, answer) = flood(head, line, times, end).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{times}: {answer}");
    }
    let head = "POST /api/instances HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\n\r\n";
    let (_, answer) = flood(head, "x".repeat(1 << 20), 10, "").await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("application/problem+json"),
        "{answer}"
    );
    assert!(
        answer.contains("content-security-policy")
            && answer.contains("x-content-type-options: nosniff"),
        "{answer}"
    );
    let head = "POST /api/instances HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (_, answer) = flood(
        head,
        format!("100000\r\n{}\r\n", "x".repeat(1 << 20)),
        10,
        "0\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    is_well(&manager).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_there_is_room_for_are_refused_and_the_others_served() {
    let _alone = harness::many_connections().await;
    let flags = vec!["--max-connections".into(), "512".into()];
    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags,
    })
    .await;
    let mut all = Vec::new();
    for _ in 0..600 {
        all.push(connect(&manager).await);
    }
    // Accepted connections get a response; rejected ones get an error.
    let answers = all.iter_mut().map(|stream| async move {
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .ok()?;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.ok()?;
        Some(String::from_utf8_lossy(&first).into_owned())
    });
    let answers = tokio::time::timeout(
        Duration::from_secs(9),
        futures_util::future::join_all(answers),
    )
    .await
    .unwrap();
    let count = |wanted: Option<&str>| {
        answers
            .iter()
            .filter(|answer| answer.as_deref() == wanted)
            .count()
    };
    let (served, told, cut) = (
        count(Some("HTTP/1.1 200")),
        count(Some("HTTP/1.1 503")),
        count(None),
    );
    assert_eq!(served + told + cut, 600, "{answers:?}");
    assert!(
        (500..=512).contains(&served),
        "{served} served, {told} told, {cut} cut off"
    );
    assert!(told > 0, "{served} served, {told} told, {cut} cut off");
    // Local commands are not locked out.
    let socket = UnixStream::connect(manager.data_dir().join("manager.sock"))
        .await
        .unwrap();
    assert!(
        talk(socket, &get("/health"))
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200 ")
    );
    let said = manager
        .log()
        .matches("rejected a connection: limit reached")
        .count();
    assert_eq!(said, 1, "said {said} times");
    drop(all);
    until("room again", || async {
        let answer = talk(connect(&manager).await, &get("/health"))
            .await
            .unwrap_or_default();
        answer.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
}

/// A certificate for `localhost` in files.
struct Certified {
    certificate: PathBuf,
    key: PathBuf,
}

fn pem(what: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {what}-----\n{}\n-----END {what}-----\n",
        lines.join("\n")
    )
}

fn certify(dir: &Path, name: &str) -> Certified {
    let pair =
        rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    let certified = Certified {
        certificate: dir.join(format!("{name}.crt")),
        key: dir.join(format!("{name}.key")),
    };
    fs::write(&certified.certificate, pem("CERTIFICATE", pair.cert.der())).unwrap();
    fs::write(
        &certified.key,
        pem("PRIVATE KEY", &pair.signing_key.serialize_der()),
    )
    .unwrap();
    certified
}

impl Certified {
    fn flags(&self) -> Vec<String> {
        vec![
            "--tls-cert".into(),
            self.certificate.display().to_string(),
            "--tls-key".into(),
            self.key.display().to_string(),
        ]
    }

    /// A connection by TLS that trusts this certificate as an authority.
    async fn connect(
        &self,
        to: SocketAddr,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut trusted = tokio_rustls::rustls::RootCertStore::empty();
        trusted
            .add(
                tokio_rustls::rustls::pki_types::CertificateDer::from_pem_file(&self.certificate)
                    .unwrap(),
            )
            .unwrap();
        let connector = TlsConnector::from(Arc::new(
            jd_manager::infra::http_client::tls(trusted).unwrap(),
        ));
        connector
            .connect(
                ServerName::try_from("localhost").unwrap(),
                TcpStream::connect(to).await?,
            )
            .await
    }
}

fn program() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_and_those_who_do_not_finish_the_handshake_hold_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let certified = certify(dir.path(), "one");
    let manager = Manager::launch(Plan {
        simulate: Vec::new(),
        client: None,
        flags: certified.flags(),
    })
    .await;
    let to = address(&manager);
    assert!(
        manager.url("/").starts_with("https://"),
        "{}",
        manager.url("/")
    );
    // Half-open ones: nothing said, and the beginning of a handshake.
    let mut half = Vec::new();
    for at in 0..100 {
        let mut stream = TcpStream::connect(to).await.unwrap();
        if at % 2 == 0 {
            stream.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
        }
        half.push(tokio::spawn(closed(stream, Duration::from_secs(20))));
    }
    let answer = talk(certified.connect(to).await.unwrap(), &get("/health"))
        .await
        .unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("content-security-policy"),
        "{answer}"
    );
    // Plain HTTP gets an error that explains TLS.
    let answer = talk(TcpStream::connect(to).await.unwrap(), &get("/health"))
        .await
        .unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("https"),
        "{answer}"
    );
    // A certificate that is not trusted ends the connection and not the listener.
    let other = certify(dir.path(), "two");
    assert!(other.connect(to).await.is_err());
    for half in half {
        let (after, _) = half.await.unwrap();
        assert!(
            (9..15).contains(&after.as_secs()),
            "half a handshake was borne for {after:?}"
        );
    }
    assert!(
        talk(certified.connect(to).await.unwrap(), &get("/health"))
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200 ")
    );

    // The check of its health goes through the socket, and by TLS where there is none.
    let check = |socket: &Path| {
        let mut command = program();
        command
            .arg("healthcheck")
            .arg("--data-dir")
            .arg(manager.data_dir())
            .args(["--listen", &to.to_string()]);
        command
            .arg("--socket")
            .arg(socket)
            .args(certified.flags())
            .output()
            .unwrap()
    };
    for socket in [
        manager.data_dir().join("manager.sock"),
        PathBuf::new(),
        dir.path().join("nowhere.sock"),
    ] {
        let output = check(&socket);
        assert!(output.status.success(), "{socket:?}: {output:?}");
    }
    // Another's certificate is not taken for the manager's.
    let output = program()
        .args(["healthcheck", "--socket=", "--listen", &to.to_string()])
        .arg("--data-dir")
        .arg(manager.data_dir())
        .args(other.flags())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn files_that_do_not_belong_together_are_named_before_anything_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (certify(dir.path(), "one"), certify(dir.path(), "two"));
    let nowhere = dir.path().join("nowhere.crt");
    for (certificate, key, says) in [
        (
            &one.certificate,
            &two.key,
            ["two.key", "does not match", "one.crt"],
        ),
        (
            &nowhere,
            &one.key,
            ["tls_cert", "nowhere.crt", "No such file"],
        ),
        (
            &one.key,
            &one.key,
            ["tls_cert", "one.key", "no certificate"],
        ),
    ] {
        let data = dir.path().join("data");
        let output = program()
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .arg("--tls-cert")
            .arg(certificate)
            .arg("--tls-key")
            .arg(key)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        for word in says {
            assert!(said.contains(word), "{said}");
        }
        assert!(
            !data.exists(),
            "something was opened before the files were looked at"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_the_users_own_and_comes_and_goes_with_the_manager() {
    let mut manager = Manager::start().await;
    let path = manager.data_dir().join("manager.sock");
    let ask =
        async |path: &Path| talk(UnixStream::connect(path).await?, &get("/api/instances")).await;
    let metadata = fs::metadata(&path).unwrap();
    assert!(
        metadata.file_type().is_socket() && metadata.permissions().mode() & 0o777 == 0o600,
        "{metadata:?}"
    );
    let answer = ask(&path).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"instances\":[]"),
        "{answer}"
    );
    // Left over by a manager that was killed, it is replaced.
    manager.kill();
    assert!(path.exists() && ask(&path).await.is_err());
    manager.begin();
    assert!(ask(&path).await.unwrap().starts_with("HTTP/1.1 200 "));
    assert!(manager.terminate().success());
    assert!(!path.exists(), "it was left behind");
    // A file that is not a socket is not changed, and the manager runs without a socket, unless one was configured
    // there.
    fs::write(&path, "mine").unwrap();
    manager.begin();
    assert!(
        manager.log().contains("exists but is not a socket"),
        "{}",
        manager.log()
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    manager.terminate();
    let output = program()
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(manager.data_dir())
        .arg("--socket")
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && said.contains("is not a socket"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_ends_with_the_manager_and_a_request_on_its_way_is_answered() {
    let mut manager = Manager::start().await;
    let mut stream = connect(&manager).await;
    stream
        .write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 64];
    stream.read_exact(&mut some).await.unwrap();
    let idle = connect(&manager).await;
    let begun = Instant::now();
    let ended = tokio::task::spawn_blocking(move || (manager.terminate(), manager));
    let (_, rest) = closed(stream, Duration::from_secs(10)).await;
    assert!(
        rest.ends_with("0\r\n\r\n"),
        "the stream was cut off: {rest:?}"
    );
    closed(idle, Duration::from_secs(10)).await;
    let (status, manager) = ended.await.unwrap();
    assert!(
        status.success() && !manager.log().contains("were aborted"),
        "{}",
        manager.log()
    );
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "it took {:?}",
        begun.elapsed()
    );
}

/// A listener of its own before a page that tells who is seen.
struct Echo {
    address: SocketAddr,
    socket: PathBuf,
    control: listener::ListenerControl,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Echo {
    async fn open(proxies: &[&str], tls: Option<Arc<TlsState>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("echo.sock");
        let plan = listener::ListenConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls,
            socket: Some((socket.clone(), SocketRequirement::Yes)),
            proxies: proxies
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
            max_connections: 64,
        };
        let listener = BoundListener::open(plan).await.unwrap();
        let (address, control, stop) = (
            listener.address(),
            listener.control(),
            CancellationToken::new(),
        );
        let tell = |Extension(peer): Extension<PeerAddress>| async move { format!("{peer:?}") };
        tokio::spawn(listener.serve(
            axum::Router::new().route("/", axum::routing::get(tell)),
            stop.clone(),
        ));
        Self {
            address,
            socket,
            control,
            stop,
            _dir: dir,
        }
    }

    async fn seen(&self, headers: &str) -> String {
        seen(TcpStream::connect(self.address).await.unwrap(), headers).await
    }
}

async fn seen(stream: impl AsyncRead + AsyncWrite + Unpin, headers: &str) -> String {
    let request =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n");
    let answer = talk(stream, &request).await.unwrap();
    answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer:?}"))
        .1
        .to_owned()
}

fn peer(address: Option<&str>, socket: bool, secure: bool) -> String {
    let address: Option<IpAddr> = address.map(|address| address.parse().unwrap());
    format!(
        "{:?}",
        PeerAddress {
            address,
            socket,
            secure
        }
    )
}

#[tokio::test]
async fn who_is_behind_a_proxy_is_taken_from_proxies_of_ours_only() {
    let forged = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n";
    let standard = "Forwarded: for=192.0.2.1;proto=https\r\n";
    let echo = Echo::open(&[], None).await;
    for headers in ["", forged, standard] {
        assert_eq!(
            echo.seen(headers).await,
            peer(Some("127.0.0.1"), false, false),
            "{headers}"
        );
    }
    let socket = || async { UnixStream::connect(&echo.socket).await.unwrap() };
    assert_eq!(seen(socket().await, "").await, peer(None, true, false));
    // A proxy in front of the socket.
    assert_eq!(seen(socket().await, forged).await, peer(None, false, false));
    // From now on it is a proxy of ours.
    echo.control.trust(vec!["127.0.0.0/8".parse().unwrap()]);
    for headers in [forged, standard] {
        assert_eq!(
            echo.seen(headers).await,
            peer(Some("192.0.2.1"), false, true),
            "{headers}"
        );
    }
    assert_eq!(echo.seen("").await, peer(Some("127.0.0.1"), false, false));
    echo.stop.cancel();
    until("the port is closed", || async {
        TcpStream::connect(echo.address)
            .await
            .is_err()
            .then_some(())
    })
    .await;
    until("the socket is gone", || async {
        (!echo.socket.exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_certificate_can_be_changed_while_connections_are_open() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (certify(dir.path(), "one"), certify(dir.path(), "two"));
    let files = |certified: &Certified| TlsFiles {
        certificate: certified.certificate.clone(),
        key: certified.key.clone(),
    };
    let echo = Echo::open(&[], Some(Arc::new(TlsState::load(files(&one)).unwrap()))).await;
    let secure = peer(Some("127.0.0.1"), false, true);
    let open = one.connect(echo.address).await.unwrap();
    assert_eq!(
        seen(one.connect(echo.address).await.unwrap(), "").await,
        secure
    );
    assert_eq!(echo.control.tls().unwrap().reload(files(&two)), Ok(true));
    assert!(one.connect(echo.address).await.is_err());
    assert_eq!(
        seen(two.connect(echo.address).await.unwrap(), "").await,
        secure
    );
    // What is open stays so.
    assert_eq!(seen(open, "").await, secure);
}

#[tokio::test]
async fn one_address_cannot_take_every_connection() {
    // Loopback is not counted; a proxy of ours neither. What counts an address is tried in the
    // module's own tests; here that a full listener says so.
    let echo = Echo::open(&[], None).await;
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(TcpStream::connect(echo.address).await.unwrap());
    }
    let refused = until("all connections are taken", || async {
        let answer = talk(TcpStream::connect(echo.address).await.unwrap(), &get("/"))
            .await
            .unwrap_or_default();
        answer.starts_with("HTTP/1.1 503 ").then_some(answer)
    })
    .await;
    assert!(
        refused.contains("Retry-After: 5") && refused.ends_with("Try again later."),
        "{refused}"
    );
    let socket = UnixStream::connect(&echo.socket).await.unwrap();
    assert_eq!(seen(socket, "").await, peer(None, true, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_asks_no_faster_than_it_may_and_holds_up_nobody() {
    let flags = ["--max-requests", "2", "--trusted-proxies", "127.0.0.1"];
    let manager = Manager::launch(with(&flags)).await;
    let http = harness::connections();
    let ask = |from: &'static str, accept: &'static str| {
        let request = http
            .get(manager.url("/health"))
            .header("x-forwarded-for", from)
            .header("accept", accept);
        async { request.send().await.unwrap() }
    };
    let answers =
        futures_util::future::join_all((0..60).map(|_| ask("192.0.2.7", "application/json"))).await;
    let passed = answers
        .iter()
        .filter(|answer| answer.status() == 200)
        .count();
    // A burst of ten, and what comes due meanwhile.
    assert!((10..30).contains(&passed), "{passed} of 60");
    let refused = answers
        .into_iter()
        .find(|answer| answer.status() == 429)
        .expect("one was refused");
    assert!(
        refused.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse::<u32>()
            .unwrap()
            >= 1
    );
    assert_eq!(
        refused.headers()["content-type"],
        "application/problem+json"
    );
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .starts_with("More than 2 requests per second from 192.0.2.7."),
        "{problem}"
    );
    assert_eq!(
        ask("192.0.2.8", "application/json").await.status(),
        200,
        "another address"
    );
    let own = futures_util::future::join_all((0..60).map(|_| manager.get("/health"))).await;
    assert!(
        own.iter().all(|answer| answer.status() == 200),
        "this machine's own"
    );
    // Requests work again soon, and people see an error page.
    harness::until("it may ask again", || async {
        (ask("192.0.2.7", "text/html").await.status() == 200).then_some(())
    })
    .await;
    let many = futures_util::future::join_all((0..60).map(|_| ask("192.0.2.7", "text/html"))).await;
    let refused = many
        .into_iter()
        .find(|answer| answer.status() == 429)
        .expect("one was refused");
    assert!(
        refused.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(refused.text().await.unwrap().contains("Try again in"));
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let port = free_port();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let plan = listener::ListenConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        tls: None,
        socket: None,
        proxies: Vec::new(),
        max_connections: 64,
    };
    let said = BoundListener::open(plan).await.unwrap_err();
    assert!(
        said.contains(&port.to_string()) && said.contains("--listen"),
        "{said}"
    );
}
