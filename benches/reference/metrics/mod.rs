//! The cost of metrics: queries over HTTP with ten million samples in the database, and fifty clients
//! sampled by a manager with that database.
//!
//! `filling` creates two databases like the product does; the small one shows whether the cost of a
//! query depends on its result or on the size of the database. `asking` sends every query to both.
//! `running` samples fifty simulated clients, reads meanwhile, and prunes a day.

mod asking;
mod filling;
mod running;

use std::path::Path;

pub async fn run(root: &Path) {
    asking::draw();
    let small = filling::fill(&root.join("small"), true).await;
    let large = filling::fill(&root.join("large"), false).await;
    asking::compare(&small, &large).await;
    running::sample(root, &large).await;
    running::prune(&large).await;
}
