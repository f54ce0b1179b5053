//! Selects the representation for a request: one URL serves people (pages, fragments of
//! pages) and programs (JSON, event streams, text).
//!
//! The rules are RFC 9110 §12.5.1 by `headers-accept`, and: no `Accept`, an invalid one,
//! or `*/*` selects the server's default, which is HTML, or JSON under `/api`. Parameters of a
//! media range are ignored, except the version of a format that has one. Independent of the
//! content.

use axum::extract::FromRequestParts;
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use headers_accept::Accept;
use mediatype::{MediaType, MediaTypeBuf, Name, ReadParams, WriteParams, names};
use std::marker::PhantomData;
use std::sync::Arc;

use super::caller::Role;
use super::page_frame::PageFrame;
use super::problem::ProblemResponse;

/// The representations of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// A page, or a fragment of one for htmx.
    Html,
    /// `application/json`.
    Json,
    /// `text/event-stream`.
    EventStream,
    /// `text/plain`.
    Text,
    /// `text/csv`.
    Csv,
    /// `application/openmetrics-text` version 1.0.0.
    OpenMetrics,
    /// `text/plain` version 0.0.4: the classic Prometheus format.
    Prometheus,
}

static HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
static HX_BOOSTED: HeaderName = HeaderName::from_static("hx-boosted");
static HX_HISTORY_RESTORE_REQUEST: HeaderName =
    HeaderName::from_static("hx-history-restore-request");
static HX_REQUEST_TYPE: HeaderName = HeaderName::from_static("hx-request-type");
static HX_TARGET: HeaderName = HeaderName::from_static("hx-target");

const VERSION: Name<'static> = Name::new_unchecked("version");

impl Representation {
    /// The media type without parameters.
    pub const fn media_type(self) -> MediaType<'static> {
        use mediatype::names::{APPLICATION, CSV, HTML, JSON, PLAIN, TEXT};
        match self {
            Self::Html => MediaType::new(TEXT, HTML),
            Self::Json => MediaType::new(APPLICATION, JSON),
            Self::EventStream => {
                MediaType::new(TEXT, mediatype::Name::new_unchecked("event-stream"))
            }
            Self::Text | Self::Prometheus => MediaType::new(TEXT, PLAIN),
            Self::Csv => MediaType::new(TEXT, CSV),
            Self::OpenMetrics => MediaType::new(
                APPLICATION,
                mediatype::Name::new_unchecked("openmetrics-text"),
            ),
        }
    }

    /// The version of the media type, if there are several.
    pub const fn version(self) -> Option<&'static str> {
        match self {
            Self::OpenMetrics => Some("1.0.0"),
            Self::Prometheus => Some("0.0.4"),
            _ => None,
        }
    }
}

/// The representation that a request accepts; read once by
/// [`super::error_pages::render`], which puts it into the request's extensions.
#[derive(Clone, Debug, Default)]
pub struct RequestedFormat {
    /// None for `*/*`, which most programs send.
    accept: Option<Arc<str>>,
    /// The path is under `/api` or ends in `.json`: JSON is the default.
    pub api: bool,
    /// htmx requests a part of a page.
    pub fragment: bool,
    /// The id of the element htmx will swap, from `HX-Target: tag#id`.
    pub target: Option<String>,
}

impl RequestedFormat {
    /// Reads the path and the headers. A fragment is requested if `HX-Request: true` and neither a
    /// boosted link, nor a history restore, nor a request that htmx itself calls full.
    pub fn read(path: &str, headers: &HeaderMap) -> Self {
        let is = |name: &HeaderName, value: &str| {
            headers
                .get(name)
                .is_some_and(|v| v.as_bytes() == value.as_bytes())
        };
        let mut values = headers.get_all(ACCEPT).iter();
        let values = (values.next(), values.next());
        let accept: Option<Arc<str>> = match values {
            (None, _) => None,
            (Some(any), None) if any.as_bytes() == b"*/*" => None,
            (Some(one), None) => one.to_str().ok().map(Into::into),
            _ => {
                let all: Vec<&str> = headers
                    .get_all(ACCEPT)
                    .iter()
                    .filter_map(|v| v.to_str().ok())
                    .collect();
                (!all.is_empty()).then(|| all.join(", ").into())
            }
        };
        Self {
            accept,
            api: path == "/api" || path.starts_with("/api/") || path.ends_with(".json"),
            fragment: is(&HX_REQUEST, "true")
                && !is(&HX_BOOSTED, "true")
                && !is(&HX_HISTORY_RESTORE_REQUEST, "true")
                && !is(&HX_REQUEST_TYPE, "full"),
            target: headers
                .get(&HX_TARGET)
                .and_then(|v| v.to_str().ok())
                .and_then(|v| v.rsplit_once('#').map(|(_, id)| id.to_owned())),
        }
    }

    /// The best of `offered` (in the server's order) for this request; `None`: nothing is
    /// acceptable.
    pub fn choose(&self, offered: &[Representation]) -> Option<Representation> {
        let Some(accept) = &self.accept else {
            let is_json = self.api && offered.contains(&Representation::Json);
            return is_json
                .then_some(Representation::Json)
                .or(offered.first().copied());
        };
        let mut order = offered.to_vec();
        let accept = accept.parse::<Accept>();
        let is_scraper = accept.as_ref().is_ok_and(names_figures);
        if is_scraper && order.contains(&Representation::Prometheus) {
            // For `*/*`, which all of them send last.
            order.sort_by_key(|form| *form != Representation::Prometheus);
        } else if self.api && order.contains(&Representation::Json) {
            order.sort_by_key(|form| *form != Representation::Json);
        }
        let first = order.first().copied();
        let Ok(accept) = accept else {
            return first;
        };
        if accept.media_types().next().is_none() {
            return first;
        }
        let available: Vec<MediaType<'static>> =
            order.iter().map(|form| form.media_type()).collect();
        let accept = relevant(&accept, offered);
        let chosen = accept.negotiate(&available)?;
        available
            .iter()
            .position(|one| one == chosen)
            .and_then(|at| order.get(at).copied())
    }

    /// The representation of errors for this request: HTML or JSON; JSON if it accepts
    /// neither, because then it is a program.
    pub fn for_errors(&self) -> Representation {
        self.choose(&[Representation::Html, Representation::Json])
            .unwrap_or(Representation::Json)
    }
}

/// Whether the header is from a metrics scraper: it names a format that is used for nothing else.
fn names_figures(accept: &Accept) -> bool {
    let formats = [
        "application/openmetrics-text",
        "application/vnd.google.protobuf",
    ];
    accept.media_types().any(|range| {
        let essence = range.essence();
        formats
            .iter()
            .any(|format| MediaType::parse(format).is_ok_and(|format| format == essence))
            || essence == Representation::Prometheus.media_type()
                && range.get_param(VERSION).is_some()
    })
}

/// The media ranges that may match a representation, as bare types with their q. If a representation
/// has a version, the requested version must be the same. A range with other parameters is used only
/// if there is no range without parameters for the same type: `text/html;level=1;q=0.3,
/// text/html;q=0.7` means 0.7 for a page without level.
fn relevant(accept: &Accept, offered: &[Representation]) -> Accept {
    let version_of = |range: &MediaTypeBuf| {
        let form = offered
            .iter()
            .find(|form| form.media_type() == range.essence());
        form.and_then(|form| form.version())
    };
    let has_version = |range: &MediaTypeBuf| match (range.get_param(VERSION), version_of(range)) {
        (Some(asked), Some(ours)) => asked == ours,
        _ => true,
    };
    let is_exact = |range: &MediaTypeBuf| {
        range
            .params()
            .all(|(name, _)| name == names::Q || (name == VERSION && version_of(range).is_some()))
    };
    let fitting: Vec<&MediaTypeBuf> = accept
        .media_types()
        .filter(|range| has_version(range))
        .collect();
    let counts = |range: &&&MediaTypeBuf| {
        is_exact(range)
            || !fitting
                .iter()
                .any(|other| other.essence() == range.essence() && is_exact(other))
    };
    let bare = |range: &&MediaTypeBuf| {
        let mut bare = range.essence();
        if let Some(q) = range.get_param(names::Q) {
            bare.set_param(names::Q, q);
        }
        MediaTypeBuf::from(bare)
    };
    fitting.iter().filter(counts).map(bare).collect()
}

/// The representations that a handler offers, in the server's order.
pub trait Offers: Send + Sync + 'static {
    /// The representations, the default first.
    const FORMS: &'static [Representation];
}

macro_rules! offer {
    ($(#[$doc:meta])* $name:ident: $($form:ident),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Offers for $name {
            const FORMS: &'static [Representation] = &[$(Representation::$form),+];
        }
    };
}
offer! {
    /// A page or JSON: most resources.
    PageForms: Html, Json
}
offer! {
    /// A page, JSON, or a stream of its changes.
    PageOrStream: Html, Json, EventStream
}
offer! {
    /// A log: page, JSON, live, download.
    LogForms: Html, Json, EventStream, Text
}
offer! {
    /// Metrics of an instance: page, JSON, live, table.
    MetricForms: Html, Json, EventStream, Csv
}
offer! {
    /// A series: page, JSON, table.
    SeriesForms: Html, Json, Csv
}
offer! {
    /// Metrics of all instances: page, JSON and Prometheus formats.
    ScrapeForms: Html, Json, OpenMetrics, Prometheus
}
offer! {
    /// A text file, also as a page or as JSON.
    TextForms: Text, Html, Json
}

/// Extractor: the selected representation of a request. As an extractor, it returns 406 before any side
/// effect.
#[derive(Clone, Debug)]
pub struct RequestContext<O: Offers = PageForms> {
    /// The selected representation.
    pub form: Representation,
    /// The accepted representations.
    pub asked: RequestedFormat,
    /// The frame around the page.
    pub frame: PageFrame,
    offer: PhantomData<O>,
}

impl<O: Offers> RequestContext<O> {
    /// A fragment of a page is requested, not a whole page.
    pub fn is_fragment(&self) -> bool {
        self.form == Representation::Html && self.asked.fragment
    }

    /// For streams: the caller's role if a page follows, so that its parts offer only what the caller
    /// may do; none: a program.
    pub fn page_role(&self) -> Option<Role> {
        self.asked.fragment.then(|| self.frame.role())
    }
}

impl<S: Send + Sync, O: Offers> FromRequestParts<S> for RequestContext<O> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let asked = parts
            .extensions
            .get::<RequestedFormat>()
            .cloned()
            .unwrap_or_else(|| RequestedFormat::read(parts.uri.path(), &parts.headers));
        match asked.choose(O::FORMS) {
            Some(form) => Ok(Self {
                form,
                asked,
                frame: parts.extensions.get().cloned().unwrap_or_default(),
                offer: PhantomData,
            }),
            None => {
                let offered: Vec<String> = O::FORMS
                    .iter()
                    .map(|form| form.media_type().to_string())
                    .collect();
                Err(ProblemResponse::new(
                    StatusCode::NOT_ACCEPTABLE,
                    format!(
                        "Available types: {}. Send an Accept header that allows one of these types.",
                        offered.join(", ")
                    ),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str, accept: Option<&str>) -> RequestedFormat {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        RequestedFormat::read(path, &headers)
    }

    #[test]
    fn the_servers_order_decides_where_the_client_does_not() {
        use Representation::{Html, Json};
        for (path, accept, form) in [
            ("/instances", None, Some(Html)),
            ("/instances", Some("*/*"), Some(Html)),
            ("/instances", Some("not a media type"), Some(Html)),
            ("/instances", Some(""), Some(Html)),
            ("/api/instances", None, Some(Json)),
            ("/api/instances", Some("*/*"), Some(Json)),
            ("/api", None, Some(Json)),
            ("/apiary", None, Some(Html)),
            ("/instances", Some("application/json"), Some(Json)),
            ("/api/instances", Some("text/html"), Some(Html)),
            (
                "/instances",
                Some("text/html;q=0.5, application/json"),
                Some(Json),
            ),
            ("/instances", Some("application/json;q=0, */*"), Some(Html)),
            (
                "/api/instances",
                Some("application/json;q=0, */*"),
                Some(Html),
            ),
            (
                "/instances",
                Some("application/json, text/html"),
                Some(Json),
            ),
            (
                "/instances",
                Some("text/html, application/json"),
                Some(Html),
            ),
            (
                "/instances",
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
                Some(Html),
            ),
            ("/instances", Some("image/png"), None),
            ("/instances", Some("application/*"), Some(Json)),
        ] {
            assert_eq!(
                asked(path, accept).choose(PageForms::FORMS),
                form,
                "{path} {accept:?}"
            );
        }
    }

    #[test]
    fn parameters_make_no_difference_but_the_version_of_a_form_that_has_one() {
        use Representation::{Html, Json, OpenMetrics, Prometheus, Text};
        let (pages, scrapes, logs) = (PageForms::FORMS, ScrapeForms::FORMS, LogForms::FORMS);
        for (offered, accept, form) in [
            (pages, "application/json;charset=utf-8", Some(Json)),
            (pages, "text/html;version=7", Some(Html)),
            (
                pages,
                "text/html;level=1;q=0.2, application/json;q=0.5",
                Some(Json),
            ),
            // A range for another level does not apply.
            (
                pages,
                "text/html;level=1;q=0.2, text/html;q=0.7, application/json;q=0.5",
                Some(Html),
            ),
            (pages, "text/html;level=1, text/html;q=0", None),
            (pages, "application/json;a=b, text/html", Some(Json)),
            (logs, "text/plain;version=0.0.4;charset=utf-8", Some(Text)),
            (scrapes, "text/plain", Some(Prometheus)),
            (
                scrapes,
                "text/plain;q=0.5, text/html;q=0.4",
                Some(Prometheus),
            ),
            (scrapes, "text/plain;version=\"0.0.4\"", Some(Prometheus)),
            (scrapes, "TEXT/Plain;Version=0.0.4", Some(Prometheus)),
            (scrapes, "text/plain;version=1.0.0", None),
            (scrapes, "application/openmetrics-text", Some(OpenMetrics)),
            (
                scrapes,
                "application/openmetrics-text;version=1.0.0;charset=utf-8",
                Some(OpenMetrics),
            ),
            (scrapes, "application/openmetrics-text;version=0.0.1", None),
            (
                scrapes,
                "application/openmetrics-text;version=0.0.1, text/plain;version=0.0.4;q=0.5",
                Some(Prometheus),
            ),
            (
                scrapes,
                "application/openmetrics-text;q=0, */*;q=0.1",
                Some(Prometheus),
            ),
            (
                scrapes,
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Some(Html),
            ),
            (scrapes, "text/*", Some(Html)),
            (scrapes, "application/*", Some(Json)),
            (scrapes, "*/*", Some(Html)),
        ] {
            assert_eq!(
                asked("/metrics", Some(accept)).choose(offered),
                form,
                "{accept}"
            );
        }
        assert_eq!(
            asked("/api/metrics", Some("*/*")).choose(scrapes),
            Some(Json)
        );
        assert_eq!(asked("/api/metrics", None).choose(scrapes), Some(Json));
    }

    #[test]
    fn a_program_that_reads_figures_gets_figures_whatever_else_it_takes() {
        use Representation::{OpenMetrics, Prometheus};
        const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, form) in [
            // Prometheus 1, 2.5, 2.37, 2.49 with native histograms, 3, and 3 configured for one
            // format only.
            (
                &*format!("{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"),
                Prometheus,
            ),
            (
                "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Prometheus,
            ),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                &format!(
                    "{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
                ),
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            (
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,*/*;q=0.5",
                Prometheus,
            ),
            (
                "text/plain;version=0.0.4;escaping=underscores;q=0.6,*/*;q=0.5",
                Prometheus,
            ),
            (
                "application/openmetrics-text;version=0.0.1;q=0.6,*/*;q=0.5",
                Prometheus,
            ),
            (&format!("{PROTOBUF};q=0.6,*/*;q=0.5"), Prometheus),
            // VictoriaMetrics.
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", Prometheus),
        ] {
            for path in ["/metrics", "/api/metrics"] {
                assert_eq!(
                    asked(path, Some(accept)).choose(ScrapeForms::FORMS),
                    Some(form),
                    "{path} {accept}"
                );
            }
            // For other paths it is an ordinary program.
            assert!(
                asked("/instances", Some(accept))
                    .choose(PageForms::FORMS)
                    .is_some()
            );
        }
    }

    #[test]
    fn errors_reach_a_client_that_accepts_only_problem_details() {
        assert_eq!(
            asked("/instances", Some("application/problem+json")).for_errors(),
            Representation::Json
        );
        assert_eq!(
            asked("/instances", Some("text/event-stream")).for_errors(),
            Representation::Json
        );
        assert_eq!(asked("/instances", None).for_errors(), Representation::Html);
        // A path that names JSON is for programs, unless a browser asks.
        let document = |accept| asked("/openapi.json", accept).for_errors();
        assert_eq!(document(None), Representation::Json);
        assert_eq!(document(Some("text/html,*/*;q=0.8")), Representation::Html);
    }

    #[test]
    fn a_fragment_is_what_htmx_asks_for_unless_it_asks_for_a_whole_page() {
        let with = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            RequestedFormat::read("/instances", &headers)
        };
        assert!(with(&[("HX-Request", "true")]).fragment);
        assert_eq!(
            with(&[("HX-Request", "true"), ("HX-Target", "div#status")])
                .target
                .as_deref(),
            Some("status")
        );
        for other in [
            ("HX-Boosted", "true"),
            ("HX-History-Restore-Request", "true"),
            ("HX-Request-Type", "full"),
        ] {
            assert!(
                !with(&[("HX-Request", "true"), other]).fragment,
                "{other:?}"
            );
        }
        assert!(!with(&[]).fragment);
    }
}
