//! Redirects: each one is a call of its own, judged as such.

use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION};
use reqwest::{Method, StatusCode};

use super::client::{Incoming, Outgoing};

/// The request that an answer asks for instead, if it asks for one that may be made. On the way to another
/// host what a connection has added stays behind; what cannot be sent without it is not sent at all.
pub(super) fn next(outgoing: &Outgoing, incoming: &Incoming) -> Option<Outgoing> {
    let method = method(incoming.status, &outgoing.method)?;
    let location = incoming.headers.get(LOCATION)?.to_str().ok()?;
    let url = outgoing.url.join(location).ok()?;
    let mut next = Outgoing { url, ..outgoing.clone() };
    if method != outgoing.method {
        next.method = method;
        next.body = None;
        next.secrets.in_body = false;
        next.headers.remove(CONTENT_TYPE);
    }
    if next.url.origin() != outgoing.url.origin() {
        if next.secrets.in_body {
            return None;
        }
        let secret = std::mem::take(&mut next.secrets.headers);
        for name in secret.into_iter().chain([COOKIE]) {
            next.headers.remove(name);
        }
    }
    Some(next)
}

/// The method behind a redirect (RFC 9110, section 15.4).
fn method(status: StatusCode, method: &Method) -> Option<Method> {
    match (status.as_u16(), method) {
        (301 | 302, &Method::POST) => Some(Method::GET),
        (303, method) if *method != Method::HEAD => Some(Method::GET),
        (301..=303 | 307 | 308, method) => Some(method.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

    use super::super::client::Secrets;
    use super::*;

    fn outgoing(method: Method, in_body: bool) -> Outgoing {
        let mut headers = HeaderMap::new();
        for (name, value) in [("authorization", "Basic x"), ("x-own", "1"), ("content-type", "text/plain")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Outgoing {
            method,
            url: "https://a.example/one/two?q=1".parse().unwrap(),
            headers,
            body: Some("body".to_owned()),
            secrets: Secrets { headers: vec![AUTHORIZATION], in_body },
        }
    }

    fn answered(outgoing: &Outgoing, status: u16, location: &str) -> Option<Outgoing> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        next(outgoing, &Incoming { status, headers, body: Vec::new() })
    }

    #[test]
    fn a_redirect_is_followed_as_its_status_says() {
        let cases = [
            (301, Method::GET, Some(Method::GET)),
            (301, Method::POST, Some(Method::GET)),
            (301, Method::PUT, Some(Method::PUT)),
            (302, Method::POST, Some(Method::GET)),
            (303, Method::PUT, Some(Method::GET)),
            (303, Method::HEAD, Some(Method::HEAD)),
            (307, Method::POST, Some(Method::POST)),
            (308, Method::DELETE, Some(Method::DELETE)),
            (300, Method::GET, None),
            (304, Method::GET, None),
            (200, Method::GET, None),
        ];
        for (status, method, expected) in cases {
            let sent = outgoing(method.clone(), true);
            let next = answered(&sent, status, "three");
            assert_eq!(next.as_ref().map(|next| next.method.clone()), expected, "{status} {method}");
            if let Some(next) = next {
                let same = next.method == method;
                assert_eq!(next.url.as_str(), "https://a.example/one/three");
                assert_eq!((next.body.is_some(), next.headers.contains_key(CONTENT_TYPE)), (same, same));
                assert!(next.headers.contains_key(AUTHORIZATION));
            }
        }
    }

    #[test]
    fn another_host_gets_nothing_of_the_connection() {
        for location in ["https://b.example/", "https://a.example:8443/", "http://a.example/", "//b.example"]
        {
            let next = answered(&outgoing(Method::GET, false), 302, location).unwrap();
            assert!(!next.headers.contains_key(AUTHORIZATION), "{location}");
            assert!(next.headers.contains_key("x-own"));
            // Nor does the first host, when it is asked again.
            let back = answered(&next, 302, "https://a.example/").unwrap();
            assert!(!back.headers.contains_key(AUTHORIZATION));
        }
        assert_eq!(answered(&outgoing(Method::POST, true), 307, "https://b.example/"), None);
        assert!(answered(&outgoing(Method::POST, true), 303, "https://b.example/").is_some());
        assert!(answered(&outgoing(Method::POST, true), 307, "/again").is_some());
    }

    #[test]
    fn what_is_no_place_is_not_gone_to() {
        assert_eq!(answered(&outgoing(Method::GET, false), 302, "https://["), None);
        let headers = HeaderMap::new();
        let incoming = Incoming { status: StatusCode::FOUND, headers, body: Vec::new() };
        assert_eq!(next(&outgoing(Method::GET, false), &incoming), None);
    }
}
