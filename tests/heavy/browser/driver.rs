//! A headless Chromium of one test, led through its own ChromeDriver.
//!
//! Knows WebDriver and what a person does with a page: look, type, choose, press. Knows nothing of
//! the pages. Every wait ends after [`PATIENCE`] with a message that says what was waited for and
//! what the page said instead.

use crate::harness::{free_port, told};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a page may take for anything; generous, since it only matters when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Height of the page, CSS pixels.
const HEIGHT: u32 = 800;

/// How the browser is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Whether pages may run scripts.
    pub javascript: bool,
    /// Width of the page, CSS pixels.
    pub width: u32,
    /// Whether the system prefers dark colours.
    pub dark: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            javascript: true,
            width: 1280,
            dark: false,
        }
    }
}

/// A browser with one page.
pub struct Browser {
    /// What [`Setup::javascript`] said.
    pub javascript: bool,
    client: Client,
    driver: Child,
    port: u16,
    session: String,
    /// Its preferences and history; removed after the browser has ended.
    _profile: tempfile::TempDir,
}

/// A command of ChromeDriver that is not in the WebDriver specification.
#[derive(Debug)]
struct Vendor(&'static str, Value);

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(
        &self,
        base: &Url,
        session: Option<&str>,
    ) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.0
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    /// A browser 1,280 pixels wide that runs scripts.
    pub async fn open() -> Self {
        Self::set_up(Setup::default()).await
    }

    /// The same without JavaScript, as a person switches it off in the settings.
    pub async fn without_javascript() -> Self {
        Self::set_up(Setup {
            javascript: false,
            ..Setup::default()
        })
        .await
    }

    /// A browser as wanted.
    pub async fn set_up(setup: Setup) -> Self {
        let (port, profile) = (
            free_port(),
            tempfile::Builder::new()
                .prefix("jd-manager-browser")
                .tempdir()
                .unwrap(),
        );
        let driver = Command::new(told("JD_MANAGER_TEST_CHROMEDRIVER"))
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ChromeDriver starts");
        let mut starting = Starting(Some(driver));
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "ChromeDriver never listened on {port}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut args: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]
        .map(str::to_owned)
        .into();
        args.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": told("JD_MANAGER_TEST_CHROMIUM"),
                "args": args,
                "prefs": { "profile.managed_default_content_settings.javascript": if setup.javascript { 1 } else { 2 } },
            },
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("an object was written above")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(Capabilities::from_iter(capabilities))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        let session = client
            .session_id()
            .await
            .unwrap()
            .expect("there is a session");
        let driver = starting.0.take().expect("it was put there above");
        let browser = Self {
            javascript: setup.javascript,
            client,
            driver,
            port,
            session,
            _profile: profile,
        };
        browser.look(setup.width, setup.dark).await;
        browser
    }

    /// Makes the page so wide, and says which colours the system prefers.
    pub async fn look(&self, width: u32, dark: bool) {
        self.look_zoomed(width, 1, dark).await;
    }

    /// The same for a page that is enlarged so many times, as by the browser's zoom.
    pub async fn look_zoomed(&self, width: u32, zoom: u32, dark: bool) {
        let (width, height) = (width / zoom, HEIGHT / zoom);
        let screen =
            json!({ "width": width, "height": height, "deviceScaleFactor": zoom, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
        let scheme =
            json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        // Transitions would be photographed half way.
        let still = json!({ "name": "prefers-reduced-motion", "value": "reduce" });
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({ "features": [scheme, still] }),
        )
        .await;
    }

    /// Lets the scripts of all pages from now on see a clock that is so many minutes ahead.
    pub async fn set_clock_ahead(&self, minutes: u32) {
        let script =
            format!("{{ const now = Date.now; Date.now = () => now() + {minutes} * 60000; }}");
        self.devtools(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": script }),
        )
        .await;
    }

    async fn devtools(&self, command: &str, params: Value) -> Value {
        self.client
            .issue_cmd(Vendor(
                "goog/cdp/execute",
                json!({ "cmd": command, "params": params }),
            ))
            .await
            .unwrap()
    }

    /// Opens an address.
    pub async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Loads the page again.
    pub async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    /// The path of the page.
    pub async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    /// Waits until an element reads so: after a press the page before may be there for a moment
    /// longer.
    pub async fn reads(&self, css: &str, words: &str) {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let script = format!(
            "return document.querySelector({})?.innerText.trim() === {}",
            quoted(css),
            quoted(words)
        );
        self.until(&format!("{css} reads {words:?}"), &script).await;
    }

    /// Waits until the page is at this address.
    pub async fn arrives(&self, path: &str) {
        self.until(
            path,
            &format!(
                "return location.pathname === {}",
                serde_json::to_string(path).unwrap()
            ),
        )
        .await;
    }

    /// The title of the page.
    pub async fn title(&self) -> String {
        self.client.title().await.unwrap()
    }

    /// What a script gives, run from outside the page: that works with the page's own scripts
    /// switched off, too.
    pub async fn ask(&self, script: &str) -> Value {
        self.client
            .execute(script, Vec::new())
            .await
            .unwrap_or_else(|e| panic!("{e}: {script}"))
    }

    /// Waits until a script gives something other than `null` and `false`.
    pub async fn until(&self, what: &str, script: &str) -> Value {
        let begun = Instant::now();
        loop {
            // A page on its way to another answers with an error now and then.
            let answer = self.client.execute(script, Vec::new()).await;
            if let Ok(value) = &answer
                && !matches!(value, Value::Null | Value::Bool(false))
            {
                return value.clone();
            }
            if begun.elapsed() > PATIENCE {
                panic!(
                    "waited in vain: {what} ({answer:?})\n{}",
                    self.told_by_page().await
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Address, title and text of the page and what its console was told, for messages.
    pub async fn told_by_page(&self) -> String {
        let script = "return location + '\\n' + document.title + '\\n' + document.body.innerText.slice(0, 4000)";
        let text = self.client.execute(script, Vec::new()).await;
        let text = text
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default();
        format!("{text}\n{}", self.complaints().await.join("\n"))
    }

    /// Does something with an element, waited for. A page may be swapped or loaded anew between
    /// finding and doing; then it is found again.
    async fn with<T>(
        &self,
        locator: Locator<'_>,
        act: impl AsyncFn(Element) -> Result<T, CmdError>,
    ) -> T {
        let begun = Instant::now();
        loop {
            let done = match self.client.find(locator).await {
                Ok(element) => act(element).await,
                Err(e) => Err(e),
            };
            match done {
                Ok(value) => return value,
                Err(e) if begun.elapsed() > PATIENCE => {
                    panic!("{locator:?}: {e}\n{}", self.told_by_page().await)
                }
                Err(e) if e.is_no_such_element() || e.is_stale_element_reference() => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(e) => panic!("{locator:?}: {e}\n{}", self.told_by_page().await),
            }
        }
    }

    /// The text of an element as it is seen, waited for.
    pub async fn text(&self, css: &str) -> String {
        self.with(Locator::Css(css), async |element| element.text().await)
            .await
    }

    /// What stands in a field.
    pub async fn value(&self, css: &str) -> String {
        self.with(Locator::Css(css), async |field| field.prop("value").await)
            .await
            .unwrap_or_default()
    }

    /// Types into a field in place of what stands there.
    pub async fn fill(&self, css: &str, text: &str) {
        let type_in = async |field: Element| {
            field.clear().await?;
            field.send_keys(text).await
        };
        self.with(Locator::Css(css), type_in).await;
    }

    /// Chooses an option of a list by its value.
    pub async fn choose(&self, css: &str, value: &str) {
        self.with(Locator::Css(css), async |list| {
            list.select_by_value(value).await
        })
        .await;
    }

    /// Sends keys to whatever has the focus.
    pub async fn keys(&self, keys: &str) {
        self.client
            .active_element()
            .await
            .unwrap()
            .send_keys(keys)
            .await
            .unwrap();
    }

    /// Clicks on an element. Scrolls to it first, as a person does if a bar at the edge covers it.
    pub async fn click(&self, css: &str) {
        let click = async |element: Element| {
            let scroll = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })";
            let arguments = vec![serde_json::to_value(&element)?];
            self.client.execute(scroll, arguments).await?;
            element.click().await
        };
        self.with(Locator::Css(css), click).await;
    }

    /// Clicks twice, as fast as a nervous hand does.
    pub async fn double_click(&self, css: &str) {
        let (x, y, width, height) = self
            .with(Locator::Css(css), async |element| element.rectangle().await)
            .await;
        for (kind, count) in [
            ("mousePressed", 1),
            ("mouseReleased", 1),
            ("mousePressed", 2),
            ("mouseReleased", 2),
        ] {
            let (x, y) = (x + width / 2.0, y + height / 2.0);
            let event =
                json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": count });
            self.devtools("Input.dispatchMouseEvent", event).await;
            if kind == "mouseReleased" {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        }
    }

    /// Moves the mouse over an element to these parts of its width, one after the other. With `held`,
    /// the button is down from the first to the last.
    pub async fn move_mouse(&self, css: &str, parts: &[f64], held: bool) {
        let quoted = serde_json::to_string(css).unwrap();
        let place = format!(
            "const one = document.querySelector({quoted}); one.scrollIntoView({{ block: 'center', behavior: 'instant' }});
             const {{ x, y, width, height }} = one.getBoundingClientRect(); return [x, y + height / 2, width]"
        );
        let place = self.until(css, &place).await;
        let [left, y, width] = [0, 1, 2].map(|n: usize| place[n].as_f64().unwrap());
        let send = async |kind: &str, part: f64| {
            let x = left + width * part;
            let buttons = u8::from(held && kind != "mouseReleased");
            let button = if held { "left" } else { "none" };
            let event = json!({
                "type": kind, "x": x, "y": y, "button": button, "buttons": buttons,
                "clickCount": u8::from(kind != "mouseMoved"),
            });
            self.devtools("Input.dispatchMouseEvent", event).await;
        };
        for (at, part) in parts.iter().enumerate() {
            send("mouseMoved", *part).await;
            if held && at == 0 {
                send("mousePressed", *part).await;
            }
        }
        if let Some(last) = parts.last().filter(|_| held) {
            send("mouseReleased", *last).await;
        }
    }

    /// Presses the first button or link that reads so, waited for: anywhere on the page, or within
    /// the part that an XPath names.
    pub async fn press(&self, words: &str) {
        self.press_in("", words).await;
    }

    /// As [`Browser::press`], within the first element of an XPath.
    pub async fn press_in(&self, within: &str, words: &str) {
        let path = format!(
            "{within}//*[self::button or self::a or self::summary][normalize-space()='{words}']"
        );
        self.with(Locator::XPath(&path), async |element| element.click().await)
            .await;
    }

    /// Whether a button or link reads so.
    pub async fn offers(&self, words: &str) -> bool {
        let path = format!("//*[self::button or self::a][normalize-space()='{words}']");
        !self
            .client
            .find_all(Locator::XPath(&path))
            .await
            .unwrap()
            .is_empty()
    }

    /// What the browser's console was told since the last call: whatever a page does wrong or its
    /// policy forbids.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self
            .client
            .issue_cmd(Vendor("se/log", json!({ "type": "browser" })))
            .await
            .unwrap();
        let entries = log.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|entry| format!("{}: {}", entry["level"], entry["message"]))
            .collect()
    }

    /// What axe-core finds wrong with the page as it is shown now, as sentences: WCAG 2.2 A and AA, and
    /// its best practices.
    pub async fn violations(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(told("JD_MANAGER_TEST_AXE")).expect("axe-core is there");
        let load = format!("if (!window.axe) {{ {axe} }} return !!window.axe");
        assert_eq!(self.ask(&load).await, true);
        let run = "const done = arguments[arguments.length - 1];
            const options = {
              resultTypes: ['violations'],
              runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
              // Our own audit wants larger targets. This rule also counts what the bar at the edge covers.
              rules: { 'label-content-name-mismatch': { enabled: true }, 'target-size': { enabled: false } },
            };
            const text = (rule, { html, target, failureSummary }) =>
              `${rule.id}: ${target} ${html.slice(0, 120)} (${failureSummary.replaceAll('\\n', ' ')})`;
            axe.run(document, options).then(
              (found) => done(found.violations.flatMap((rule) => rule.nodes.map((node) => text(rule, node)))),
              (error) => done([String(error)]),
            );";
        let found = self.client.execute_async(run, Vec::new()).await.unwrap();
        let found = found.as_array().expect("it answers with a list").iter();
        found
            .map(|one| one.as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Fails if the console was told anything but the statuses of refused forms, which the browser
    /// notes by itself.
    pub async fn has_nothing_to_complain_of(&self) {
        let complaints = self.complaints().await;
        let own: Vec<_> = complaints
            .iter()
            .filter(|one| !one.contains("Failed to load resource"))
            .collect();
        assert!(own.is_empty(), "{own:?}");
    }

    /// A picture of the whole page as a PNG file, made by a screen that is as high as the page.
    pub async fn picture(&self, file: &std::path::Path) {
        let size = self
            .ask("return [innerWidth, document.documentElement.scrollHeight]")
            .await;
        let mut screen =
            json!({ "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", screen.clone())
            .await;
        let shot = self.client.screenshot().await.unwrap();
        std::fs::write(file, shot).unwrap();
        screen["height"] = json!(HEIGHT);
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }
}

/// A ChromeDriver that has no browser yet, ended if it never gets one.
struct Starting(Option<Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(driver) = &mut self.0 {
            end(driver);
        }
    }
}

fn end(driver: &mut Child) {
    let _ = driver.kill();
    let _ = driver.wait();
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ending the session ends Chromium with all its processes; a killed ChromeDriver would
        // leave them behind. By hand, since this must be done before the runtime goes.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let head = format!(
                "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
                self.session, self.port
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.read(&mut [0; 64]);
        }
        end(&mut self.driver);
    }
}
