//! The package for Home Assistant with a real response: `home_assistant.py` renders its templates with Jinja, as
//! Home Assistant does.

use crate::harness::{Manager, Plan, free_port, solo_config, told, until};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The values of all sensors for this response.
fn sensors(response: &Value) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(told("JD_MANAGER_TEST_PYTHON"))
        .arg(root.join("tests/heavy/home_assistant.py"))
        .arg(root.join("contrib/home-assistant/jd-manager.yaml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    input.write_all(response.to_string().as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{response}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sensor_has_a_value_for_missing_stopped_and_running_instances() {
    let manager = Manager::launch(Plan {
        simulate: ["--hashrate", "7e14"].map(str::to_owned).to_vec(),
        client: None,
        flags: vec!["--sample-interval=1s".into()],
    })
    .await;
    let list = async || manager.json("/api/instances").await;
    let missing = sensors(&list().await);
    assert_eq!(
        (&missing["jd-manager miners"], &missing["barn state"]),
        (&"0".into(), &"missing".into())
    );
    assert_eq!(missing["barn hashrate"], "0.0");

    let mut config = solo_config(free_port(), free_port(), 1);
    config["shares_per_minute"] = 300.0.into();
    let config = manager.save_config("barn", &config).await;
    let id = manager.instance_of("barn", &config).await;
    let stopped = sensors(&list().await);
    assert_eq!(
        (&stopped["barn state"], &stopped["barn problem"]),
        (&"stopped".into(), &"False".into())
    );
    assert_eq!(stopped["barn health"], "unknown");

    manager.act(&format!("/api/instances/{id}/start")).await;
    let running = until("hashrate and health of the running instance", || async {
        let values = sensors(&list().await);
        let number = |name: &str| values[name].as_str().unwrap().parse::<f64>().unwrap();
        let is_complete = number("barn hashrate") > 0.0 && number("barn health score") > 0.0;
        is_complete.then_some(values)
    })
    .await;
    assert_eq!(running["barn state"], "running");
    assert_eq!(running["jd-manager instances running"], "1");
    assert_eq!(running["jd-manager hashrate"], running["barn hashrate"]);
    for (name, value) in running.as_object().unwrap() {
        assert!(!value.as_str().unwrap().is_empty(), "{name}");
    }
}
