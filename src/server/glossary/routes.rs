//! The handler of `/glossary`.

use super::GlossaryPage;
use crate::web::{Reply, RequestContext};

/// `GET /glossary`: a page for people, the same terms as JSON for programs.
pub async fn show(want: RequestContext) -> Reply {
    want.respond(&GlossaryPage::new())
}
