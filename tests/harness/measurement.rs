//! Measured values, for `scripts/bench`.

/// Prints a value and its limit in the form that `scripts/bench` reads: `measured NAME VALUE UNIT
/// LIMIT`. `name` has no space.
pub fn report(name: &str, value: f64, unit: &str, limit: f64) {
    // The test runner may have begun the line with the name of the test.
    println!("\nmeasured {name} {value:.2} {unit} {limit}");
}
