//! An answer of the manager read whole, an event stream read piece by piece, and what tests ask of
//! both.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use scraper::{Html, Selector};
use serde_json::Value;
use std::time::Duration;

use super::wording::{forbidden_phrases, visible_texts};

/// An answer that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked, for messages.
    pub asked: String,
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// Sends a request on a connection of its own and reads the whole answer.
    pub async fn to(request: RequestBuilder) -> Self {
        let (http, request) = request.header("connection", "close").build_split();
        let request = request.unwrap();
        let asked = format!(
            "{} {} {:?}",
            request.method(),
            request.url().path(),
            request.headers()
        );
        let work = async {
            let response = http
                .execute(request)
                .await
                .unwrap_or_else(|e| panic!("{asked}: {e:?}"));
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            (
                status,
                headers,
                response
                    .text()
                    .await
                    .unwrap_or_else(|e| panic!("{asked}: {e:?}")),
            )
        };
        let (status, headers, text) = tokio::time::timeout(PATIENCE, work)
            .await
            .unwrap_or_else(|_| panic!("{asked} hangs"));
        let answer = Self {
            asked,
            status,
            headers,
            text,
        };
        answer.check_wording();
        answer
    }

    /// A page has no forbidden phrase, whatever its state.
    fn check_wording(&self) {
        if self.media_type() == "text/html" {
            // Lines of a log are the words of another program. They start with their time.
            let is_log_line = |text: &String| {
                text.as_bytes().get(8) == Some(&b'.')
                    && text.starts_with(|c: char| c.is_ascii_digit())
            };
            for text in visible_texts(&self.text, false)
                .into_iter()
                .filter(|text| !is_log_line(text))
            {
                let faults = forbidden_phrases(&text);
                assert!(faults.is_empty(), "{}: {faults:?}", self.asked);
            }
        }
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The media type without parameters; empty without one.
    pub fn media_type(&self) -> &str {
        self.header("content-type")
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
    }

    /// All names in all `Vary` headers, in lower case.
    pub fn vary(&self) -> Vec<String> {
        let all = self
            .headers
            .get_all("vary")
            .iter()
            .flat_map(|v| v.to_str().unwrap().split(','));
        all.map(|name| name.trim().to_ascii_lowercase()).collect()
    }

    /// The methods in `Allow`, sorted.
    pub fn allow(&self) -> Vec<String> {
        let mut methods: Vec<String> = self
            .header("allow")
            .unwrap_or_default()
            .split(',')
            .map(|m| m.trim().to_owned())
            .collect();
        methods.sort();
        methods.retain(|m| !m.is_empty());
        methods
    }

    /// The JSON of an answer with this status.
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(
            (self.status, self.media_type()),
            (status, "application/json"),
            "{self:?}"
        );
        serde_json::from_str(&self.text).unwrap()
    }

    /// The problem details of an answer with this status: the members of RFC 9457 and those older
    /// clients read.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(
            (self.status, self.media_type()),
            (status, "application/problem+json"),
            "{self:?}"
        );
        let problem: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(
            (&problem["type"], problem["status"].as_u64()),
            (&Value::from("about:blank"), Some(u64::from(status))),
            "{problem}"
        );
        assert!(
            problem["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty()),
            "{problem}"
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.len() > 10 && detail.ends_with(['.', '!', '?', ')']),
            "not a sentence: {problem}"
        );
        assert_eq!(
            (&problem["success"], &problem["error"]),
            (&Value::from(false), &problem["detail"]),
            "{problem}"
        );
        problem
    }

    /// The pointers of a 422, in order; every one comes with a sentence.
    pub fn pointers(&self) -> Vec<String> {
        let problem = self.problem(422);
        let errors = problem["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("no field is named: {problem}"));
        for error in errors {
            assert!(
                error["detail"]
                    .as_str()
                    .is_some_and(|detail| detail.len() > 5),
                "{problem}"
            );
        }
        errors
            .iter()
            .map(|e| e["pointer"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The whole page of an answer with this status.
    pub fn page(&self, status: u16) -> Dom {
        assert_eq!(
            (self.status, self.media_type()),
            (status, "text/html"),
            "{self:?}"
        );
        assert!(
            self.text.starts_with("<!doctype html>"),
            "not a whole page: {self:?}"
        );
        let dom = Dom {
            html: Html::parse_document(&self.text),
        };
        assert_eq!(dom.count("main#main"), 1);
        dom
    }

    /// The fragment of a page of an answer with this status.
    pub fn fragment(&self, status: u16) -> Dom {
        assert_eq!(
            (self.status, self.media_type()),
            (status, "text/html"),
            "{self:?}"
        );
        assert!(
            !self.text.contains("<html") && !self.text.contains("<main"),
            "a whole page: {self:?}"
        );
        // A row of a table is dropped by parsers outside one.
        let text = if self.text.trim_start().starts_with("<tr") {
            format!("<table>{}</table>", self.text)
        } else {
            self.text.clone()
        };
        Dom {
            html: Html::parse_fragment(&text),
        }
    }

    /// The notice that htmx shows instead of what it asked for.
    pub fn notice(&self, status: u16) -> Dom {
        assert_eq!(self.header("hx-retarget"), Some("#notices"), "{self:?}");
        assert!(
            self.header("hx-reswap")
                .is_some_and(|swap| swap.starts_with("innerHTML")),
            "{self:?}"
        );
        let dom = self.fragment(status);
        assert!(!dom.one("section.attention p:first-child").is_empty());
        dom
    }
}

/// What a page says, by CSS selectors.
pub struct Dom {
    html: Html,
}

impl Dom {
    /// The forms that change something, each with the names and types of its fields.
    pub fn post_forms(&self) -> Vec<Form> {
        let (forms, fields) = (
            Selector::parse("form[method=post]").unwrap(),
            Selector::parse("[name]:not(button)").unwrap(),
        );
        let all = self.html.select(&forms);
        all.map(|form| {
            let field = |field: scraper::ElementRef<'_>| {
                let kind = field
                    .attr("type")
                    .unwrap_or(field.value().name())
                    .to_owned();
                field.attr("name").map(|name| (name.to_owned(), kind))
            };
            Form {
                action: form.attr("action").unwrap_or_default().to_owned(),
                fields: form.select(&fields).filter_map(field).collect(),
            }
        })
        .collect()
    }

    /// The text of every element a selector finds, white space closed up.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let found = Selector::parse(selector).unwrap();
        self.html
            .select(&found)
            .map(|e| {
                e.text()
                    .collect::<String>()
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }

    /// The text of the one element a selector finds.
    pub fn one(&self, selector: &str) -> String {
        let mut texts = self.texts(selector);
        assert_eq!(
            texts.len(),
            1,
            "{selector}: {texts:?} in {}",
            self.html.html()
        );
        texts.remove(0)
    }

    /// How many elements a selector finds.
    pub fn count(&self, selector: &str) -> usize {
        self.html
            .select(&Selector::parse(selector).unwrap())
            .count()
    }

    /// An attribute of every element a selector finds that has it.
    pub fn attrs(&self, selector: &str, name: &str) -> Vec<String> {
        self.html
            .select(&Selector::parse(selector).unwrap())
            .filter_map(|e| e.attr(name).map(str::to_owned))
            .collect()
    }

    /// An attribute of the one element a selector finds.
    pub fn attr(&self, selector: &str, name: &str) -> String {
        let mut attrs = self.attrs(selector, name);
        assert_eq!(
            attrs.len(),
            1,
            "{selector}[{name}]: {attrs:?} in {}",
            self.html.html()
        );
        attrs.remove(0)
    }

    /// Name and value of everything in the page.
    pub fn attributes(&self) -> Vec<(String, String, String)> {
        let all = Selector::parse("*").unwrap();
        let elements = self.html.select(&all);
        elements
            .flat_map(|e| {
                e.value()
                    .attrs()
                    .map(|(n, v)| (e.value().name().to_owned(), n.to_owned(), v.to_owned()))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

/// A form of a page.
pub struct Form {
    /// Where it is sent.
    pub action: String,
    /// Name and type of each field.
    pub fields: Vec<(String, String)>,
}

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Its name; empty for none.
    pub event: String,
    /// Its id; empty for none.
    pub id: String,
    /// Its data, lines joined.
    pub data: String,
}

impl Heard {
    /// The data as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// An event stream that is open.
pub struct EventStream {
    response: reqwest::Response,
    unread: Vec<u8>,
}

impl EventStream {
    /// Opens a stream; `Accept: text/event-stream` is added.
    pub async fn open(request: RequestBuilder) -> Self {
        let response = request
            .header("accept", "text/event-stream")
            .send()
            .await
            .unwrap();
        let kind = response
            .headers()
            .get("content-type")
            .map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(
            (response.status().as_u16(), kind.as_deref()),
            (200, Some("text/event-stream"))
        );
        assert!(
            response.headers().get("content-encoding").is_none(),
            "a stream is not compressed"
        );
        Self {
            response,
            unread: Vec::new(),
        }
    }

    /// The next event; none when the stream has ended or was torn off.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|w| w == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let mut heard = Heard::default();
                let mut data = Vec::new();
                for line in block.lines() {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    let value = value.strip_prefix(' ').unwrap_or(value);
                    match name {
                        "event" => value.clone_into(&mut heard.event),
                        "id" => value.clone_into(&mut heard.id),
                        "data" => data.push(value),
                        _ => {}
                    }
                }
                if data.is_empty() && heard == Heard::default() {
                    continue; // a comment that keeps the connection alive
                }
                heard.data = data.join("\n");
                if heard.event == "heartbeat" {
                    continue; // as pages hear it
                }
                return Some(heard);
            }
            match tokio::time::timeout(PATIENCE, self.response.chunk())
                .await
                .expect("the stream stays silent")
            {
                Ok(Some(bytes)) => self.unread.extend_from_slice(&bytes),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// The next event that fits.
    pub async fn until(&mut self, mut fits: impl FnMut(&Heard) -> bool) -> Heard {
        let begun = std::time::Instant::now();
        loop {
            let heard = self.next().await.expect("the stream ended");
            if fits(&heard) {
                return heard;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited in vain, last heard: {heard:?}"
            );
        }
    }
}
