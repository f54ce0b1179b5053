//! Tests of chart groups.

use super::*;
use crate::domain::metrics::service::SeriesPoint;

fn drawn(metric_type: &str, values: &[f64], current: Option<f64>) -> SeriesChart {
    let point = |(at, value): (usize, &f64)| SeriesPoint {
        timestamp: Timestamp(i64::try_from(at).unwrap() * 60_000),
        value: *value,
        count: 6,
        min: value.floor(),
        max: value.ceil(),
    };
    let points: Vec<SeriesPoint> = values.iter().enumerate().map(point).collect();
    let sum: f64 = values.iter().sum();
    let summary = SeriesSummary {
        count: 2,
        sum,
        avg: sum / 2.0,
        min: 1.0,
        max: 2.0,
    };
    let points = SeriesPoints {
        from: Timestamp(0),
        to: Timestamp(120_000),
        step: 60,
        points,
        current,
    };
    SeriesChart {
        metric_type: metric_type.into(),
        label: String::new(),
        points,
        summary: Some(summary),
    }
}

#[test]
fn a_current_value_is_a_sample_and_not_the_mean_of_the_last_minute() {
    let cards = |metric_type: &str, current| drawn(metric_type, &[1.0, 1.5], current).cards();
    assert_eq!(
        cards("miners", Some(2.0)),
        [
            ("current", "2".to_owned()),
            ("average", "1.25".into()),
            ("min", "1".into()),
            ("max", "2".into())
        ]
    );
    assert_eq!(cards("miners", None)[0], ("current", "–".to_owned()));
    assert_eq!(
        cards("hashrate_measured", Some(5e14))[0],
        ("current", "500\u{a0}TH/s".to_owned())
    );
    assert_eq!(
        cards("shares_accepted", None),
        [("total", "2.5".to_owned())]
    );
}

/// A group with points at these minutes, from 00:00 to 02:00 of 1970-01-01 UTC.
fn group(minutes: &[i64], marks: &[(i64, &str)]) -> ChartGroup {
    let mut series = drawn("miners", &[], None);
    series.points.points = minutes
        .iter()
        .map(|minute| SeriesPoint {
            timestamp: Timestamp(minute * 60_000),
            value: *minute as f64,
            count: 6,
            min: 0.0,
            max: 200.0,
        })
        .collect();
    series.label = "miners".into();
    ChartGroup {
        title: "Miners".into(),
        path: "metrics/x/miners".into(),
        with: String::new(),
        drawn: vec![series],
        marks: marks
            .iter()
            .map(|(minute, label)| ChartMark {
                at: minute * 60_000,
                label: (*label).into(),
            })
            .collect(),
        choice: ChartOptions {
            range: "",
            interval: "",
            from: Timestamp(0),
            to: Timestamp(7_200_000),
            born: Timestamp(0),
            rejected: None,
        },
        id: "c-miners".into(),
    }
}

/// Minute, end of a gap, and what the row says.
fn rows(group: &ChartGroup) -> Vec<(i64, Option<i64>, String)> {
    let minute = |at: Timestamp| at.0 / 60_000;
    let said = |row: &FigureRow<'_>| match row.values.first() {
        Some((label, value)) => format!("{label} {value}"),
        None => row.note.to_owned(),
    };
    let rows = group.rows();
    let rows = rows
        .iter()
        .map(|row| (minute(row.at), row.until.map(minute), said(row)));
    rows.collect()
}

#[test]
fn the_table_has_the_points_the_marks_and_the_gaps_of_the_chart() {
    let minutes: Vec<i64> = (10..=40).chain(70..=118).collect();
    let group = group(&minutes, &[(69, "restart")]);
    let rows = rows(&group);
    assert_eq!(rows.len(), minutes.len() + 3);
    assert_eq!(rows[0], (118, None, "miners 118".into()));
    let after = rows.iter().position(|row| row.0 == 70).unwrap();
    assert_eq!(
        rows[after..after + 4],
        [
            (70, None, "miners 70".into()),
            (69, None, "restart".into()),
            (41, Some(70), "no data".into()),
            (40, None, "miners 40".into()),
        ]
    );
    assert_eq!(rows.last().unwrap(), &(0, Some(10), "no data".into()));
    // The chart has as many pieces as the table.
    let chart = group.chart(560, 200);
    let svg = chart.inline("c");
    let line = svg.split("class=\"s0\" d=\"").nth(1).unwrap();
    assert_eq!(line.split('"').next().unwrap().matches('M').count(), 2);
    assert!(svg.contains(">restart</text>"), "{svg}");
}

#[test]
fn the_values_of_the_chart_are_those_of_the_table() {
    let group = group(&(0..120).collect::<Vec<_>>(), &[]);
    let chart = group.chart(560, 200);
    let mut table: Vec<(i64, String)> = group
        .rows()
        .into_iter()
        .map(|row| (row.at.0, row.values[0].1.clone()))
        .collect();
    table.reverse();
    let drawn: Vec<(i64, String)> = chart.lines[0]
        .points
        .iter()
        .map(|(at, value)| (*at, format_value(chart.unit, *value)))
        .collect();
    assert_eq!(drawn, table);
}

#[test]
fn a_range_before_the_instance_or_without_data_has_no_rows() {
    assert_eq!(rows(&group(&[], &[])), []);
    let mut early = group(&[], &[]);
    early.choice.born = Timestamp(i64::MAX);
    assert!(early.is_empty() && early.rows().is_empty());
    assert!(early.chart(560, 200).inline("c").contains("No data"));
}
