use super::*;

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
        ("current", "500 TH/s (10-min average)".to_owned())
    );
    assert_eq!(
        cards("shares_accepted", None),
        [("total", "2.5".to_owned())]
    );
}
