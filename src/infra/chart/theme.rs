//! The style of charts: the CSS for pages and for image files, and the dash patterns of lines.
//!
//! Must not know: what a chart shows.

/// The rules for both forms. Strokes keep their width when the drawing is stretched. Text has an
/// outline in the background color, so that it is readable in front of a line. In narrow charts, `m`
/// is hidden (every second time label, ends of names) and `n` is shown instead.
macro_rules! rules {
    () => {
        "\
.chart{display:block;color:var(--accent);overflow:visible;stroke-linejoin:round}\
.chart text{font-size:.75rem;fill:var(--soft);stroke:var(--panel);stroke-width:4;paint-order:stroke}\
.chart path{fill:none;stroke:currentColor;stroke-width:1.5;vector-effect:non-scaling-stroke}\
.chart .a{fill:currentColor;stroke:none;opacity:.15}\
.chart .d{stroke-width:5;stroke-linecap:round}\
.chart .g,.chart .x,.chart .k{stroke:var(--soft);stroke-width:1}.chart .g{stroke:var(--line)}\
.s1{color:var(--ink)}.s2{color:var(--good)}.s3{color:var(--bad)}.s4{color:var(--soft)}.s5{color:var(--warn)}.s6{color:#85d}.s7{color:#08a}\
.chart .n{display:none}\
@media(max-width:44rem){.chart .m{display:none}.chart .n{display:inline}}"
    };
}

/// The rules for [`inline`](crate::infra::chart::Chart::inline) charts in the style sheet of a page.
/// Uses the custom properties `--ink`, `--soft`, `--line`, `--panel` (the background), `--accent`,
/// `--good`, `--warn` and `--bad`.
pub const PAGE_RULES: &str = rules!();

/// The exact contents of the `<style>` element of every
/// [`standalone`](crate::infra::chart::Chart::standalone) chart. A Content-Security-Policy can allow
/// it by its hash.
pub const STYLE: &str = concat!(
    ".chart{--panel:#fff;--line:#e3dfd8;--ink:#1d2025;--soft:#5d6470;--accent:#b4570a;--good:#1c7c45;--warn:#94650a;",
    "--bad:#b3261e;color-scheme:light dark;background:var(--panel);font-family:sans-serif}",
    "@media(prefers-color-scheme:dark){.chart{--panel:#1b1e24;--line:#2d323b;--ink:#e7e6e2;--soft:#9aa3af;--accent:#f2a65a;",
    "--good:#5fcf8d;--warn:#e8b84a;--bad:#f2837b}}",
    rules!()
);

/// Dashes and gaps of the lines, in CSS pixels; the first line is solid.
pub(super) const DASHES: [&str; crate::infra::chart::DISTINCT_LINES] = [
    "",
    "6 3",
    "2 2",
    "10 3 2 3",
    "4 4",
    "14 4",
    "6 2 2 2 2 2",
    "2 5",
];
