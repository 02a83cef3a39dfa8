//! Which path leads where.

use crate::api::advice::METADATA;
use crate::refusing::Fault;
use hyper::Method;

/// The largest body of most requests, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The largest body of questions about somebody, in bytes.
const ADVICE_BYTES_MAX: usize = 1024 * 1024;
/// The longest part of a path that stands for a parameter.
const PARAMETER_BYTES_MAX: usize = 256;

/// One operation: a method and a path, in which `{name}` stands for one part, and `{*name}` at the end for all that follow.
#[derive(Debug)]
pub struct Route {
    /// `GET`, which answers `HEAD` as well, or `POST`.
    pub method: Method,
    /// The path, such as `/v1/entries/{index}/bundle`.
    pub pattern: &'static str,
    /// The largest body; `GET` has none.
    pub body_bytes_max: usize,
    /// Whether a body may be a canonical request instead of JSON: such a message can be signed as it is (RFC 9421).
    pub takes_requests: bool,
    /// Whether an answer may take as long as there is something to wait for: so many at a time may.
    pub is_followed: bool,
}

impl Route {
    /// An operation that reads.
    pub const fn get(pattern: &'static str) -> Self {
        Self { method: Method::GET, pattern, body_bytes_max: 0, takes_requests: false, is_followed: false }
    }

    /// An operation that reads, and whose answer may be waited for.
    pub const fn follow(pattern: &'static str) -> Self {
        Self { method: Method::GET, pattern, body_bytes_max: 0, takes_requests: false, is_followed: true }
    }

    /// An operation that takes a JSON body of at most 64 KiB.
    pub const fn post(pattern: &'static str) -> Self {
        Self {
            method: Method::POST,
            pattern,
            body_bytes_max: BODY_BYTES_MAX,
            takes_requests: false,
            is_followed: false,
        }
    }

    /// An operation that takes a JSON body of another size.
    pub const fn post_up_to(body_bytes_max: usize, pattern: &'static str) -> Self {
        Self { method: Method::POST, pattern, body_bytes_max, takes_requests: false, is_followed: false }
    }

    /// An operation that takes a request: in JSON, or as it is.
    const fn asking(body_bytes_max: usize, pattern: &'static str) -> Self {
        Self { method: Method::POST, pattern, body_bytes_max, takes_requests: true, is_followed: false }
    }

    /// The parts of the path that the pattern leaves open, if it fits.
    fn parameters<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut parameters = Vec::new();
        // Names of gateways may have slashes.
        if let Some((before, _)) = self.pattern.split_once("{*") {
            let rest = path.strip_prefix(before)?;
            parameters.push(Some(rest).filter(|rest| is_plain(rest))?);
            return Some(parameters);
        }
        let (mut parts, mut patterns) = (path.split('/'), self.pattern.split('/'));
        loop {
            match (parts.next(), patterns.next()) {
                (None, None) => return Some(parameters),
                (Some(part), Some(pattern)) if pattern.starts_with('{') => {
                    parameters.push(Some(part).filter(|part| is_parameter(part))?);
                }
                (Some(part), Some(pattern)) if part == pattern => {}
                (Some(_) | None, Some(_)) | (Some(_), None) => return None,
            }
        }
    }

    fn takes(&self, method: &Method) -> bool {
        self.method == *method || self.method == Method::GET && *method == Method::HEAD
    }
}

/// The operations of a node.
pub const NODE_ROUTES: &[Route] = &[
    Route::asking(8 * 1024 * 1024, "/v1/authorize"),
    Route::asking(8 * 1024 * 1024, "/v1/shadow"),
    Route::asking(BODY_BYTES_MAX, "/v1/orders"),
    Route::post_up_to(8 * 1024 * 1024, "/v1/policies"),
    Route::post_up_to(8 * 1024 * 1024, "/v1/entities"),
    Route::get("/v1/entities/snapshot"),
    Route::post("/v1/statements"),
    Route::get("/v1/control"),
    Route::follow("/v1/feed"),
    Route::get("/v1/status"),
    Route::get("/v1/gateways/{*name}"),
    Route::get("/v1/holds"),
    Route::follow("/v1/holds/{index}"),
    Route::get("/v1/mandates"),
    Route::get("/v1/mandates/{index}"),
    Route::get("/v1/entries/{index}"),
    Route::get("/v1/entries/{index}/bundle"),
    Route::get("/v1/executions/{id}/lineage"),
    Route::get(METADATA),
    Route::post_up_to(ADVICE_BYTES_MAX, "/access/v1/evaluation"),
    Route::post_up_to(ADVICE_BYTES_MAX, "/access/v1/evaluations"),
    Route::post_up_to(ADVICE_BYTES_MAX, "/access/v1/search/subject"),
    Route::post_up_to(ADVICE_BYTES_MAX, "/access/v1/search/resource"),
    Route::post_up_to(ADVICE_BYTES_MAX, "/access/v1/search/action"),
];

/// The one route for a method and a path, and what stands in the open parts.
pub(crate) fn find<'r, 'p>(
    routes: &'r [Route],
    method: &Method,
    path: &'p str,
) -> Result<(&'r Route, Vec<&'p str>), Fault> {
    let fitting = || routes.iter().filter_map(|route| Some((route, route.parameters(path)?)));
    if let Some(found) = fitting().find(|(route, _)| route.takes(method)) {
        return Ok(found);
    }
    let mut allowed: Vec<&str> = Vec::new();
    for (route, _) in fitting() {
        allowed.push(route.method.as_str());
        if route.method == Method::GET {
            allowed.push("HEAD");
        }
    }
    if allowed.is_empty() { Err(Fault::NoSuchPath) } else { Err(Fault::OtherMethod { allowed: allowed.join(", ") }) }
}

fn is_parameter(part: &str) -> bool {
    !part.contains('/') && !matches!(part, "." | "..") && is_plain(part)
}

/// No escapes: a name is written in one way.
fn is_plain(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~:@/".contains(&byte);
    !part.is_empty() && part.len() <= PARAMETER_BYTES_MAX && part.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: Method, path: &str) -> Result<(&'static str, Vec<String>), String> {
        let parameters = |parts: Vec<&str>| parts.into_iter().map(str::to_owned).collect();
        match find(NODE_ROUTES, &method, path) {
            Ok((route, parts)) => Ok((route.pattern, parameters(parts))),
            Err(Fault::OtherMethod { allowed }) => Err(allowed),
            Err(fault) => Err(format!("{fault:?}")),
        }
    }

    #[test]
    fn paths_lead_to_their_routes() {
        assert_eq!(found(Method::POST, "/v1/authorize"), Ok(("/v1/authorize", vec![])));
        assert_eq!(found(Method::HEAD, "/v1/control"), Ok(("/v1/control", vec![])));
        let name = vec!["edge/1.example:a@b".to_owned()];
        assert_eq!(found(Method::GET, "/v1/gateways/edge/1.example:a@b"), Ok(("/v1/gateways/{*name}", name)));
        let id = vec!["exec_1".to_owned()];
        assert_eq!(found(Method::GET, "/v1/executions/exec_1/lineage"), Ok(("/v1/executions/{id}/lineage", id)));
        let index = vec!["7".to_owned()];
        assert_eq!(found(Method::GET, "/v1/entries/7/bundle"), Ok(("/v1/entries/{index}/bundle", index)));
    }

    #[test]
    fn what_is_almost_a_path_leads_nowhere() {
        let long = format!("/v1/gateways/{}", "a".repeat(257));
        for path in [
            "/",
            "",
            "/v1",
            "/v1/",
            "/v1/authorize/",
            "//v1/authorize",
            "/V1/authorize",
            "/v1/gateways",
            "/v1/gateways/",
            "/v1/gateways/a%2fb",
            "/v1/gateways/{name}",
            "/v1/entries/../bundle",
            "/v1/entries/a/b/bundle",
            "/v1/entries//bundle",
            "/v1/entries/7/bundle/x",
            &long,
        ] {
            assert_eq!(found(Method::GET, path), Err("NoSuchPath".to_owned()), "{path}");
        }
    }

    #[test]
    fn other_methods_are_told_which_there_are() {
        assert_eq!(found(Method::GET, "/v1/authorize"), Err("POST".to_owned()));
        assert_eq!(found(Method::HEAD, "/v1/orders"), Err("POST".to_owned()));
        assert_eq!(found(Method::DELETE, "/v1/control"), Err("GET, HEAD".to_owned()));
    }
}
