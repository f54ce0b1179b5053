//! Test receivers: HTTP servers with a fixed response, and mail servers with a script.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// A self-signed certificate.
pub struct Authority {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    /// A certificate for this server name.
    pub fn of(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// The same, but expired.
    pub fn expired(name: &str) -> Self {
        Self::with(name, |params| {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1)
        })
    }

    fn with(name: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        Self {
            certificate: params.self_signed(&key).unwrap().der().clone(),
            key: key.serialize_der(),
        }
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![self.certificate()],
                PrivatePkcs8KeyDer::from(self.key.clone()).into(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A received request.
#[derive(Clone, Default)]
pub struct Heard {
    pub head: String,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        fields
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The behavior after the response.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    Close,
    /// Endless data as fast as possible.
    Flood,
    /// One byte from time to time.
    Drip,
}

/// An HTTP receiver.
pub struct Receiver {
    pub port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// The number of accepted bytes of endless data.
    pub poured: Arc<Mutex<usize>>,
}

impl Receiver {
    /// Answers each request with this response. `{request}` is replaced by the request.
    pub async fn answering(answer: &str, then: Then) -> Self {
        Self::start(answer, then, None).await
    }

    /// Answers with a status line, headers and a body of known length.
    pub async fn with(status: &str, headers: &str, body: &str) -> Self {
        Self::answering(&answer(status, headers, body), Then::Close).await
    }

    pub async fn start(answer: &str, then: Then, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, poured) = (
            Arc::<Mutex<Vec<Heard>>>::default(),
            Arc::<Mutex<usize>>::default(),
        );
        let receiver = Self {
            port,
            heard: Arc::clone(&heard),
            poured: Arc::clone(&poured),
        };
        let answer = answer.to_owned();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, poured, answer, tls) = (
                    Arc::clone(&heard),
                    Arc::clone(&poured),
                    answer.clone(),
                    tls.clone(),
                );
                tokio::spawn(async move {
                    match tls {
                        None => attend(stream, &answer, then, &heard, &poured).await,
                        Some(tls) => {
                            attend(tls.accept(stream).await?, &answer, then, &heard, &poured).await
                        }
                    }
                });
            }
        });
        receiver
    }

    /// The only request.
    pub fn only(&self) -> Heard {
        let heard = self.heard.lock().unwrap();
        assert_eq!(heard.len(), 1);
        heard[0].clone()
    }
}

/// An HTTP response with a body of known length.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

async fn attend<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    answer: &str,
    then: Then,
    heard: &Mutex<Vec<Heard>>,
    poured: &Mutex<usize>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = Heard::default();
    while !request.head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request.head).await? == 0 {
            return Ok(());
        }
    }
    request.body.resize(
        request
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap()),
        0,
    );
    stream.read_exact(&mut request.body).await?;
    heard.lock().unwrap().push(request.clone());
    let echo = format!("{}{}", request.head, String::from_utf8_lossy(&request.body));
    stream
        .write_all(answer.replace("{request}", &echo).as_bytes())
        .await?;
    stream.flush().await?;
    match then {
        Then::Close => stream.shutdown().await,
        Then::Flood => loop {
            stream.write_all(&[b'x'; 8192]).await?;
            *poured.lock().unwrap() += 8192;
        },
        Then::Drip => loop {
            stream.write_all(b"x").await?;
            stream.flush().await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        },
    }
}

/// The behavior of a mail server.
#[derive(Clone, Default)]
pub struct Rules {
    /// Special replies: the first word of a command (`GREETING`, or `.` for the end of a message) and
    /// the reply. `{line}` is replaced by the command.
    pub replies: Vec<(&'static str, &'static str)>,
    /// Uses TLS from the first byte.
    pub tls: Option<TlsAcceptor>,
    /// Supports STARTTLS.
    pub starttls: Option<TlsAcceptor>,
    /// Plain text sent after the reply to STARTTLS.
    pub injected: &'static str,
    /// Sends endless data instead of a greeting.
    pub babbles: bool,
}

/// A mail receiver that records each line. Lines received over TLS start with `*`.
pub struct MailHost {
    pub port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl MailHost {
    pub async fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Self {
            port: listener.local_addr().unwrap().port(),
            lines: Arc::default(),
        };
        let lines = Arc::clone(&host.lines);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (rules, lines) = (rules.clone(), Arc::clone(&lines));
                tokio::spawn(async move {
                    if let Some(tls) = &rules.tls {
                        return converse(tls.accept(stream).await?, &rules, &lines, true, true)
                            .await
                            .map(drop);
                    }
                    let Some(stream) = converse(stream, &rules, &lines, true, false).await? else {
                        return Ok(());
                    };
                    let stream = rules.starttls.as_ref().unwrap().accept(stream).await?;
                    converse(stream, &rules, &lines, false, true)
                        .await
                        .map(drop)
                });
            }
        });
        host
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The text of the received message without dot-stuffing, and the lines before and after it.
    pub fn mail(&self) -> String {
        let lines: Vec<String> = self
            .lines()
            .iter()
            .map(|line| line.trim_start_matches('*').to_owned())
            .collect();
        let start = lines.iter().position(|line| line == "DATA").unwrap() + 1;
        let end = lines.iter().position(|line| line == ".").unwrap();
        lines[start..end].join("\n")
    }
}

/// Follows the script; returns the stream when TLS starts.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    rules: &Rules,
    lines: &Mutex<Vec<String>>,
    greets: bool,
    secured: bool,
) -> std::io::Result<Option<S>> {
    let mut stream = BufReader::new(stream);
    let reply = |word: &str, usual: &str| {
        rules
            .replies
            .iter()
            .find(|(command, _)| *command == word)
            .map_or(usual, |(_, reply)| *reply)
            .to_owned()
            + "\r\n"
    };
    if rules.babbles {
        loop {
            stream.write_all(&[b'2'; 8192]).await?;
        }
    }
    if greets {
        stream
            .write_all(reply("GREETING", "220 mail.example.org at your service").as_bytes())
            .await?;
        stream.flush().await?;
    }
    let mut in_mail = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.strip_suffix("\r\n").expect("lines end with CR LF");
        assert!(!line.contains('\r'), "a CR on its own: {line:?}");
        lines
            .lock()
            .unwrap()
            .push(format!("{}{line}", if secured { "*" } else { "" }));
        let word = line.split([' ', ':']).next().unwrap();
        if in_mail && line != "." {
            continue;
        }
        in_mail = word == "DATA";
        let offers = if rules.starttls.is_some() && !secured {
            "250 STARTTLS"
        } else {
            "250-8BITMIME\r\n250 AUTH PLAIN LOGIN"
        };
        let usual = match word {
            "EHLO" => format!("250-mail.example.org\r\n{offers}"),
            "AUTH" => "235 welcome".into(),
            "DATA" => "354 go on".into(),
            "STARTTLS" if rules.starttls.is_some() => "220 go on".into(),
            "STARTTLS" => "502 not here".into(),
            "QUIT" => "221 bye".into(),
            _ => "250 fine".to_owned(),
        };
        stream
            .write_all(reply(word, &usual).replace("{line}", line).as_bytes())
            .await?;
        stream.flush().await?;
        if word == "STARTTLS" && rules.starttls.is_some() {
            stream.write_all(rules.injected.as_bytes()).await?;
            stream.flush().await?;
            return Ok(Some(stream.into_inner()));
        }
        if word == "QUIT" {
            return Ok(None);
        }
    }
}
