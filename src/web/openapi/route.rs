//! A table of routes: documentation, required role and handler of each operation. Router, permissions and
//! OpenAPI document are derived from it.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::operation::ApiOperation;

/// The state of a router.
pub trait RouterState: Clone + Send + Sync + 'static {}

impl<S: Clone + Send + Sync + 'static> RouterState for S {}

/// An operation and its handler.
#[derive(Debug)]
pub struct Route<S> {
    /// The documentation.
    pub operation: ApiOperation,
    handler: MethodRouter<S>,
}

/// The routes of a domain, in the order of the documentation.
#[derive(Debug)]
pub struct RouteTable<S>(Vec<Route<S>>);

impl<S: RouterState> RouteTable<S> {
    /// An empty table.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds an operation.
    pub fn add<H: Handler<T, S>, T: 'static>(
        mut self,
        operation: ApiOperation,
        handler: H,
    ) -> Self {
        // There is a filter for each method of operations.
        let filter = MethodFilter::try_from(operation.http_method()).unwrap_or(MethodFilter::GET);
        let handler = on(filter, handler);
        self.0.push(Route { operation, handler });
        self
    }

    /// Adds an operation that forms send by POST to `path`, because HTML has no other method for a
    /// change. The second one is named after the first, with `ByForm`.
    pub fn add_with_form<H: Handler<T, S>, T: 'static>(
        self,
        operation: ApiOperation,
        handler: H,
        path: &'static str,
    ) -> Self {
        let by_form = operation.clone().by_form(path);
        self.add(operation, handler.clone()).add(by_form, handler)
    }
}

impl<S: RouterState> Default for RouteTable<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> IntoIterator for RouteTable<S> {
    type Item = Route<S>;
    type IntoIter = std::vec::IntoIter<Route<S>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<S: RouterState> Route<S> {
    /// Adds the route to a router, also under `/api`. A nested router would do the same, but it copies
    /// the address of each request.
    pub fn register(self, router: Router<S>) -> Router<S> {
        let path = self.operation.path;
        let under_api = format!("/api{}", if path == "/" { "" } else { path });
        router
            .route(&under_api, self.handler.clone())
            .route(path, self.handler)
    }
}
