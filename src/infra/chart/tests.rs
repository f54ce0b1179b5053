//! Tests of charts and their axes.

use crate::infra::chart::backend::{ChartInk, PathBackend, ShapeForm};
use crate::infra::chart::scale::ValueAxis;
use crate::infra::chart::*;
use plotters::style::BLACK;
use plotters_backend::{DrawingBackend, DrawingErrorKind};
use proptest::prelude::*;
use std::convert::Infallible;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone by rule")
}

fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>()
        .expect("a moment")
        .as_millisecond()
}

fn chart(kind: ChartKind, lines: Vec<Vec<(i64, f64)>>) -> Chart {
    let from = at("2026-11-22T12:00:00Z");
    let line = |(n, points): (usize, Vec<(i64, f64)>)| ChartLine {
        label: format!("pool {n}"),
        points: points
            .into_iter()
            .map(|(minute, value)| (from + minute * MINUTE, value))
            .collect(),
    };
    Chart {
        title: "Hashrate".to_owned(),
        description: "Over an hour".to_owned(),
        unit: Unit::HashesPerSecond,
        kind,
        from,
        to: from + HOUR,
        step: MINUTE,
        lines: lines.into_iter().enumerate().map(line).collect(),
        marks: Vec::new(),
        zone: berlin(),
        width: 900,
        height: 280,
    }
}

/// The `d` of the paths of a class.
fn paths<'a>(svg: &'a str, class: &str) -> Vec<&'a str> {
    let of_class = svg
        .split("<path class=\"")
        .filter_map(|path| path.split_once('"'))
        .filter(|path| path.0 == class);
    of_class
        .filter_map(|(_, rest)| rest.split_once(" d=\"")?.1.split('"').next())
        .collect()
}

fn texts(svg: &str) -> Vec<&str> {
    let after = svg
        .split("<text")
        .skip(1)
        .filter_map(|text| text.split_once('>'));
    after
        .filter_map(|(_, rest)| rest.split('<').next())
        .collect()
}

/// Returns the first violation of the XML subset used here: elements, quoted attributes, three named
/// entities.
fn check_xml(svg: &str) -> Result<(), String> {
    let mut open = Vec::new();
    let known = |text: &str| {
        text.split('&').skip(1).all(|rest| {
            ["lt;", "gt;", "amp;"]
                .iter()
                .any(|name| rest.starts_with(name))
        })
    };
    for (index, part) in svg.split('<').enumerate() {
        let Some((tag, text)) = part.split_once('>') else {
            if index == 0 && part.is_empty() {
                continue;
            } else {
                return Err(format!("no end of a tag: {part}"));
            }
        };
        if !known(text)
            || text.contains('>')
            || text
                .chars()
                .any(|c| c.is_control() && c != '\n' && c != '\t')
        {
            return Err(format!("text that is not escaped: {text}"));
        }
        if open.is_empty() && !text.is_empty() && index + 1 < svg.split('<').count() {
            return Err(format!("text outside: {text}"));
        }
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("{name} is closed but not open"));
            }
            continue;
        }
        let (tag, empty) = tag
            .strip_suffix('/')
            .map_or((tag, false), |tag| (tag, true));
        let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let (key, after) = rest
                .split_once("=\"")
                .ok_or_else(|| format!("no value: {rest}"))?;
            let (value, after) = after
                .split_once('"')
                .ok_or_else(|| format!("no end: {after}"))?;
            if seen.contains(&key)
                || value.contains('&')
                || !key.chars().all(|c| c.is_ascii_alphabetic() || c == '-')
            {
                return Err(format!("attribute {key}={value}"));
            }
            seen.push(key);
            rest = after.strip_prefix(' ').unwrap_or(after);
        }
        if !empty {
            open.push(name);
        }
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(format!("left open: {open:?}"))
    }
}

#[test]
fn values_are_said_in_units_a_person_can_read() {
    let hashes = [
        (0.0, "0 H/s"),
        (-0.0, "0 H/s"),
        (1.25e15, "1.25 PH/s"),
        (999.6e12, "1 PH/s"),
        (1e21, "1 ZH/s"),
    ];
    let bytes = [
        (512.0, "512 B"),
        (13_002_342.0, "12.4 MiB"),
        (1_048_570.0, "1 MiB"),
        (-2048.0, "−2 KiB"),
    ];
    let counts = [
        (9812.0, "9812"),
        (12_345.0, "12.3 k"),
        (0.25, "0.25"),
        (3e6, "3 M"),
        (1e-9, "1e-9"),
        (1e30, "1e12 E"),
    ];
    let seconds = [
        (0.0, "0 s"),
        (0.25, "250 ms"),
        (2e-5, "20 µs"),
        (12.34, "12.3 s"),
        (59.97, "1 min"),
        (90.0, "1 min 30 s"),
    ];
    let days = [
        (3599.7, "1 h"),
        (7260.0, "2 h 1 min"),
        (273_600.0, "3 d 4 h"),
        (86_399.0, "1 d"),
        (1e21, "1.16e16 d"),
    ];
    let said = |unit, table: &[(f64, &str)]| {
        for (value, text) in table {
            assert_eq!(
                format_value(unit, *value),
                text.replace(' ', "\u{a0}"),
                "{value}"
            );
        }
    };
    said(Unit::HashesPerSecond, &hashes);
    said(Unit::Bytes, &bytes);
    said(Unit::Count, &counts);
    said(Unit::Seconds, &seconds);
    said(Unit::Seconds, &days);
    said(
        Unit::Percent,
        &[
            (42.0, "42%"),
            (99.95, "100%"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ],
    );
}

#[test]
fn ticks_of_values_are_round_and_in_one_unit() {
    let labels = |unit, kind, range| -> Vec<String> {
        ValueAxis::new(unit, kind, range, 4)
            .ticks
            .into_iter()
            .map(|tick| tick.1)
            .collect()
    };
    let hashes = ["0 PH/s", "0.5 PH/s", "1 PH/s", "1.5 PH/s"];
    assert_eq!(
        labels(Unit::HashesPerSecond, ChartKind::Area, (1.1e15, 1.35e15)),
        hashes
    );
    assert_eq!(
        labels(Unit::HashesPerSecond, ChartKind::Line, (1.1e15, 1.35e15)),
        ["1.1 PH/s", "1.2 PH/s", "1.3 PH/s", "1.4 PH/s"]
    );
    assert_eq!(
        labels(Unit::Bytes, ChartKind::Area, (0.0, 3.9 * 1024.0 * 1024.0)),
        ["0 MiB", "1 MiB", "2 MiB", "3 MiB", "4 MiB"]
    );
    assert_eq!(
        labels(Unit::Bytes, ChartKind::Area, (0.0, 3000.0)),
        ["0 KiB", "1 KiB", "2 KiB", "3 KiB"]
    );
    assert_eq!(
        labels(Unit::Percent, ChartKind::Line, (88.0, 97.0)),
        ["0%", "50%", "100%"]
    );
    assert_eq!(
        labels(Unit::Seconds, ChartKind::Area, (0.0, 100.0)),
        ["0 s", "30 s", "1 min", "1 min 30 s", "2 min"]
    );
    assert_eq!(
        labels(Unit::Count, ChartKind::Area, (0.0, 2.0)),
        ["0", "1", "2"]
    );
    assert_eq!(
        labels(Unit::Count, ChartKind::Area, (-3.0, 40_000.0)),
        ["−20 k", "0", "20 k", "40 k"]
    );
    assert_eq!(labels(Unit::Count, ChartKind::Line, (0.0, 0.0)), ["0", "1"]);
}

#[test]
fn ticks_of_the_time_are_round_on_the_local_clock() {
    let labels = |from, to, most| -> Vec<String> {
        time::ticks(at(from), at(to), &berlin(), most)
            .into_iter()
            .map(|tick| tick.1)
            .collect()
    };
    assert_eq!(
        labels("2026-11-22T13:02:00Z", "2026-11-22T13:31:00Z", 6),
        ["14:05", "14:10", "14:15", "14:20", "14:25", "14:30"]
    );
    assert_eq!(
        labels("2026-11-22T17:00:00Z", "2026-11-23T17:00:00Z", 5),
        ["18:00", "23 Nov", "06:00", "12:00", "18:00"]
    );
    assert_eq!(
        labels("2026-11-22T12:00:00Z", "2026-12-20T12:00:00Z", 5),
        ["23 Nov", "30 Nov", "7 Dec", "14 Dec"]
    );
    assert_eq!(
        labels("2026-10-20T12:00:00Z", "2027-02-20T12:00:00Z", 5),
        ["Nov", "Dec", "2027", "Feb"]
    );
    assert_eq!(
        labels("2019-10-20T12:00:00Z", "2027-02-20T12:00:00Z", 8),
        [
            "2020", "2021", "2022", "2023", "2024", "2025", "2026", "2027"
        ]
    );
    assert_eq!(
        labels("2026-11-22T13:02:03Z", "2026-11-22T13:02:08Z", 3),
        ["14:02:05"]
    );
}

#[test]
fn ticks_stay_round_when_the_clocks_are_changed() {
    let ticks = |from, to, most| -> Vec<(String, String)> {
        let told = time::ticks(at(from), at(to), &berlin(), most);
        told.into_iter()
            .map(|(at, label)| {
                (
                    jiff::Timestamp::from_millisecond(at).unwrap().to_string(),
                    label,
                )
            })
            .collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|p| (p.0.to_owned(), p.1.to_owned()))
            .collect()
    };
    // 2026-03-29: 02:00 does not exist.
    let spring = [
        ("2026-03-29T00:00:00Z", "01:00"),
        ("2026-03-29T01:00:00Z", "03:00"),
        ("2026-03-29T02:00:00Z", "04:00"),
    ];
    assert_eq!(
        ticks("2026-03-28T23:30:00Z", "2026-03-29T02:30:00Z", 4),
        pairs(&spring)
    );
    let days = [
        ("2026-03-28T23:00:00Z", "29 Mar"),
        ("2026-03-29T22:00:00Z", "30 Mar"),
        ("2026-03-30T22:00:00Z", "31 Mar"),
    ];
    assert_eq!(
        ticks("2026-03-28T12:00:00Z", "2026-03-31T12:00:00Z", 4),
        pairs(&days)
    );
    // 2026-10-25: 02:00 occurs twice.
    let autumn = [
        ("2026-10-24T22:00:00Z", "25 Oct"),
        ("2026-10-24T23:00:00Z", "01:00"),
        ("2026-10-25T00:00:00Z", "02:00"),
    ];
    let later = [
        ("2026-10-25T01:00:00Z", "02:00"),
        ("2026-10-25T02:00:00Z", "03:00"),
    ];
    assert_eq!(
        ticks("2026-10-24T21:30:00Z", "2026-10-25T02:30:00Z", 6),
        pairs(&[&autumn[..], &later[..]].concat())
    );
    let quarters = ticks("2026-10-24T20:00:00Z", "2026-10-25T12:00:00Z", 4);
    assert_eq!(
        quarters.into_iter().map(|tick| tick.1).collect::<Vec<_>>(),
        ["25 Oct", "06:00", "12:00"]
    );
}

#[test]
fn a_gap_is_shown_as_a_gap_and_a_lone_point_as_a_dot() {
    let minutes: Vec<(i64, f64)> = [0, 1, 2, 10, 20, 21]
        .into_iter()
        .map(|minute| (minute, 1e12))
        .collect();
    let svg = chart(ChartKind::Line, vec![minutes]).inline("c");
    assert_eq!(paths(&svg, "s0").concat().matches('M').count(), 2, "{svg}");
    assert_eq!(paths(&svg, "s0 d").len(), 1);
    assert!(paths(&svg, "s0 d")[0].ends_with("h0"));
    // One and a half steps are a delay, not a gap.
    let from = at("2026-11-22T12:00:00Z");
    let late = [(from, 1.0), (from + 90_000, 1.0), (from + 180_001, 1.0)];
    assert_eq!(
        stretches(&late, MINUTE).map(<[_]>::len).collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(stretches(&late, 0).count(), 1);
}

#[test]
fn shapes_of_one_ink_and_form_are_one_path() -> Result<(), DrawingErrorKind<Infallible>> {
    let mut backend = PathBackend {
        size: (100, 50),
        ink: ChartInk::Line(0),
        shapes: Vec::new(),
    };
    backend.draw_path([(1, 2)], &BLACK)?;
    backend.draw_path([(3, 4), (5, 4)], &BLACK)?;
    backend.fill_polygon([(0, 9), (3, 0), (6, 9)], &BLACK)?;
    backend.ink = ChartInk::Line(1);
    backend.draw_path([(0, 0), (0, 8)], &BLACK)?;
    backend.ink = ChartInk::Line(0);
    backend.draw_path([(7, 8), (9, 9), (10, 9)], &BLACK)?;
    backend.draw_path([(6, 6)], &BLACK)?;
    let shapes = backend.shapes.into_iter();
    let expected = [
        (0, ShapeForm::Dot, "M1 2h0M6 6h0"),
        (0, ShapeForm::Stroke, "M3 4h2M7 8l2 1 1 0"),
        (0, ShapeForm::Area, "M0 9l3-9 3 9z"),
        (1, ShapeForm::Stroke, "M0 0v8"),
    ];
    assert!(
        shapes
            .map(|shape| (shape.ink, shape.form, shape.data.into_text()))
            .eq(expected.map(|(line, form, data)| (ChartInk::Line(line), form, data.to_owned())))
    );
    Ok(())
}

#[test]
fn an_area_ends_on_the_axis_and_begins_as_its_line() {
    let svg = chart(ChartKind::Area, vec![vec![(0, 1e12), (1, 3e12), (2, 2e12)]]).inline("c");
    let (area, line) = (paths(&svg, "s0 a")[0], paths(&svg, "s0")[0]);
    assert!(
        area.starts_with(line) && area.ends_with('z'),
        "{area} {line}"
    );
}

#[test]
fn lines_are_told_apart_by_more_than_colour_and_named() {
    let lines = (0..8)
        .map(|n| vec![(0, f64::from(n)), (1, f64::from(n) + 1.0)])
        .collect();
    let svg = chart(ChartKind::Line, lines).inline("c");
    for look in 1..8 {
        let class = format!(
            "class=\"s{look}\" stroke-dasharray=\"{}\"",
            theme::DASHES[look]
        );
        assert_eq!(
            svg.matches(&class).count(),
            2,
            "once as a line and once in the legend: {class}"
        );
        assert!(texts(&svg).contains(&format!("pool {look}").as_str()));
    }
    let mut dashes = theme::DASHES.to_vec();
    dashes.sort_unstable();
    dashes.dedup();
    assert_eq!(dashes.len(), DISTINCT_LINES);
    assert!(
        !chart(ChartKind::Line, vec![vec![(0, 1.0)]])
            .inline("c")
            .contains("pool 0")
    );
}

#[test]
fn names_are_cut_to_the_room_there_is_and_kept_in_full_on_hover() {
    let mut with_names = chart(ChartKind::Line, vec![vec![(0, 1.0)], vec![(0, 2.0)]]);
    with_names.lines[0].label = "stratum.example.org:34255".to_owned();
    let wide = with_names.inline("c");
    assert!(
        wide.contains("<tspan class=\"m\">") && wide.contains("<tspan class=\"n\">…</tspan>"),
        "{wide}"
    );
    with_names.width = 320;
    let narrow = with_names.inline("c");
    assert!(
        narrow.contains("…</text>") && narrow.contains("<title>stratum.example.org:34255</title>"),
        "{narrow}"
    );
}

#[test]
fn a_mark_within_the_range_is_a_dashed_line_that_says_when() {
    let mut marked = chart(ChartKind::Line, vec![vec![(0, 1.0), (1, 2.0)]]);
    let outside = ChartMark {
        at: marked.from - 1,
        label: "earlier".to_owned(),
    };
    marked.marks = vec![
        outside,
        ChartMark {
            at: marked.from + 5 * MINUTE,
            label: "restart <by hand>".to_owned(),
        },
    ];
    let svg = marked.inline("c");
    assert_eq!(paths(&svg, "k").len(), 1);
    assert!(
        svg.contains("<title>restart &lt;by hand&gt;, 22 Nov 13:05</title>"),
        "{svg}"
    );
}

#[test]
fn labels_of_marks_do_not_overlap() {
    let mut marked = chart(ChartKind::Line, vec![vec![(0, 1.0), (59, 2.0)]]);
    let mark = |minute: i64| ChartMark {
        at: marked.from + minute * MINUTE,
        label: format!("restart {minute}"),
    };
    marked.marks = [59, 30, 2, 1].map(mark).into();
    let svg = marked.inline("c");
    assert_eq!(paths(&svg, "k").len(), 4);
    let shown: Vec<&str> = texts(&svg)
        .into_iter()
        .filter(|text| text.starts_with("restart"))
        .collect();
    assert_eq!(shown, ["restart 1", "restart 30", "restart 59"]);
    assert!(svg.contains("<text text-anchor=\"end\" x=\"9"), "{svg}");
    marked.width = 290;
    let narrow = marked.inline("c");
    assert!(!narrow.contains(">restart 2<"), "{narrow}");
}

#[test]
fn the_plot_of_a_page_is_high_enough_for_any_number_of_lines() {
    for count in 1..=DISTINCT_LINES {
        let mut low = chart(ChartKind::Line, vec![vec![(0, 1.0)]; count]);
        low.height = 80;
        let frame = labels::PlotFrame::new(&low, SvgPlacement::Inline);
        assert!(frame.bottom - frame.top >= 160.0, "{count}: {frame:?}");
    }
}

#[test]
fn nothing_to_show_is_said_between_the_axes() {
    let mut empty = chart(
        ChartKind::Area,
        vec![vec![(0, f64::NAN), (-5, 1.0), (61, 1.0)]],
    );
    let svg = empty.inline("c");
    assert!(
        texts(&svg).contains(&"No data in this range") && texts(&svg).contains(&"13:30"),
        "{svg}"
    );
    assert!(!paths(&svg, "x").is_empty() && !paths(&svg, "g").is_empty());
    empty.lines.clear();
    assert!(empty.standalone("c").contains("No data in this range"));
}

#[test]
fn it_is_one_picture_with_a_name_for_those_who_do_not_see_it() {
    let mut named = chart(ChartKind::Line, vec![vec![(0, 1.0), (1, 2.0)]]);
    named.title = "A & B".to_owned();
    let svg = named.inline("in 1\"><stance");
    assert!(
        svg.starts_with("<svg class=\"chart\" role=\"img\" width=\"100%\" height=\"280\""),
        "{svg}"
    );
    assert!(svg.contains(
        "aria-labelledby=\"in1stance-t in1stance-d\"><title id=\"in1stance-t\">A &amp; B</title>"
    ));
    assert!(svg.contains("<desc id=\"in1stance-d\">Over an hour</desc>"));
    assert!(svg.contains("viewBox=\"0 0 3600 1120\""));
    assert!(!svg.contains("<style"));
    assert!(
        named
            .standalone("c")
            .contains(&format!("<style>{STYLE}</style>"))
    );
    assert!(
        named
            .standalone("c")
            .contains("xmlns=\"http://www.w3.org/2000/svg\"")
    );
}

#[test]
fn text_can_be_read_on_both_grounds() {
    let light = |colour: &str| {
        let digits: Vec<u32> = colour.chars().filter_map(|c| c.to_digit(16)).collect();
        let pair = |n: usize| {
            if digits.len() == 3 {
                digits[n] * 17
            } else {
                digits[2 * n] * 16 + digits[2 * n + 1]
            }
        };
        let linear = |n: usize| match f64::from(pair(n)) / 255.0 {
            part if part <= 0.04045 => part / 12.92,
            part => ((part + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * linear(0) + 0.7152 * linear(1) + 0.0722 * linear(2) + 0.05
    };
    let grounds = STYLE
        .split("--panel:")
        .skip(1)
        .map(|theme| theme.split('}').next().unwrap());
    let contrasts: Vec<f64> = grounds
        .flat_map(|theme| {
            let ground = light(theme.split(';').next().unwrap());
            let soft = light(
                theme
                    .split("--soft:")
                    .nth(1)
                    .unwrap()
                    .split(';')
                    .next()
                    .unwrap(),
            );
            [soft.max(ground) / soft.min(ground)]
        })
        .collect();
    assert!(
        contrasts.len() == 2 && contrasts.iter().all(|&contrast| contrast >= 4.5),
        "{contrasts:?}"
    );
    assert!(PAGE_RULES.len() <= 700 && !STYLE.contains(['<', '&']));
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(0.0),
        Just(-0.0),
        Just(1e21),
        Just(f64::MAX),
        Just(5e-324),
        -1e6..1e6,
        1e15..1.001e15
    ]
}

fn any_chart() -> impl Strategy<Value = Chart> {
    let unit = prop::sample::select(vec![
        Unit::Bytes,
        Unit::HashesPerSecond,
        Unit::Percent,
        Unit::Count,
        Unit::Seconds,
    ]);
    let kind = prop::sample::select(vec![ChartKind::Line, ChartKind::Area]);
    let from = prop_oneof![
        any::<i64>(),
        Just(0),
        Just(1_795_382_999_204),
        Just(i64::MIN)
    ];
    let length = prop_oneof![Just(0), Just(1), 0..100 * DAY, any::<i64>()];
    let point = (prop_oneof![-10..40_i64, any::<i64>()], any_value());
    let lines = prop::collection::vec(
        (any::<String>(), prop::collection::vec(point, 0..40)),
        0..10,
    );
    let step = prop_oneof![Just(0), Just(-1), 1..DAY, any::<i64>()];
    let marks = prop::collection::vec((any::<i64>(), any::<String>()), 0..3);
    let size = (any::<u32>(), any::<u32>());
    let made = (
        unit,
        kind,
        from,
        length,
        lines,
        step,
        marks,
        size,
        any::<[String; 2]>(),
    );
    made.prop_map(
        |(unit, kind, from, length, lines, step, marks, (width, height), [title, description])| {
            let moment = |n: i64| {
                if (-10..40).contains(&n) {
                    from.saturating_add(step.saturating_mul(n))
                } else {
                    n
                }
            };
            let line = |(label, points): (String, Vec<(i64, f64)>)| ChartLine {
                label,
                points: points.iter().map(|p| (moment(p.0), p.1)).collect(),
            };
            let lines = lines.into_iter().map(line).collect();
            let mark = |(n, label)| ChartMark {
                at: moment(n % 50),
                label,
            };
            let marks = marks.into_iter().map(mark).collect();
            let to = from.saturating_add(length);
            Chart {
                title,
                description,
                unit,
                kind,
                from,
                to,
                step,
                lines,
                marks,
                zone: berlin(),
                width,
                height,
            }
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_drawn_is_xml_without_styles_colours_or_nonsense(chart in any_chart(), id in any::<String>()) {
        // An id may be any text, also one that looks like a bad number.
        let id = id.replace(['N', 'i', '.'], "");
        for svg in [chart.inline(&id), chart.standalone(&id)] {
            prop_assert_eq!(check_xml(&svg), Ok(()));
            let tags: Vec<&str> = svg.split('<').filter_map(|part| part.split('>').next()).collect();
            for tag in tags {
                let bare = !["style=", "fill=", "stroke=", "font-family", "NaN", "inf"].iter().any(|word| tag.contains(word));
                prop_assert!(bare, "{}", tag);
                let decimals = tag.split('.').skip(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).count());
                prop_assert!(decimals.max().unwrap_or(0) <= 1, "{}", tag);
            }
        }
    }

    #[test]
    fn ticks_enclose_what_they_are_for(values in prop::collection::vec(any_value(), 1..5), wanted in 1..9_usize) {
        let values: Vec<f64> = values.into_iter().filter_map(crate::base::units::clean).collect();
        prop_assume!(!values.is_empty());
        let (low, high) = (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(f64::MIN, f64::max));
        for unit in [Unit::Bytes, Unit::HashesPerSecond, Unit::Percent, Unit::Count, Unit::Seconds] {
            let axis = ValueAxis::new(unit, ChartKind::Line, (low, high), wanted);
            let hair = 1e-5 * (axis.high - axis.low);
            prop_assert!(axis.low <= low + hair && axis.high >= high - hair && axis.low < axis.high);
            prop_assert!((2..=wanted + 3).contains(&axis.ticks.len()), "{}", axis.ticks.len());
        }
    }

    #[test]
    fn a_sparkline_of_sixty_points_is_below_600_bytes(values in prop::collection::vec(any_value(), 60), gap in 0..60_i64) {
        let points: Vec<(i64, f64)> = values.iter().zip(0..).map(|(&value, n)| (if n < gap { n } else { n + 5 } * MINUTE, value)).collect();
        let svg = sparkline(&points, 0, 65 * MINUTE, MINUTE, 112, 26);
        prop_assert!(svg.len() < 600, "{} {}", svg.len(), svg);
        prop_assert_eq!(check_xml(&svg), Ok(()));
        prop_assert!(!svg.contains("NaN"));
    }

    #[test]
    fn a_sparkline_takes_everything(points in prop::collection::vec((any::<i64>(), any_value()), 0..9), from in any::<i64>(), to in any::<i64>(), step in any::<i64>()) {
        prop_assert_eq!(check_xml(&sparkline(&points, from, to, step, 0, u32::MAX)), Ok(()));
    }

    #[test]
    fn whatever_is_measured_can_be_said(value in any::<f64>()) {
        for unit in [Unit::Bytes, Unit::HashesPerSecond, Unit::Percent, Unit::Count, Unit::Seconds] {
            let said = format_value(unit, value);
            prop_assert!(!said.is_empty() && said.chars().count() <= 16, "{}", said);
        }
    }
}
