use std::sync::Mutex;

use super::super::HostSettings;
use super::super::call::{Access, Body};
use super::super::testing::{
    Server, basic, hasty, known, known_with, listen, logged, reply, stranger, with_host,
};
use super::*;

fn repository(server: &Server) -> Repository {
    Repository { registry: server.host.clone(), name: "a/b".into() }
}

fn get(registries: &Registries, repository: &Repository) -> Result<(u16, String), RegistryError> {
    let doing = format!("pulling `x` of `{repository}`");
    let mut answer =
        registries.call(Call::new(Method::GET, repository, To::Path("manifests/x".into()), doing))?;
    let body = answer.read(1 << 20).unwrap().unwrap();
    Ok((answer.status, String::from_utf8(body).unwrap()))
}

fn ok(registries: &Registries, repository: &Repository) -> String {
    get(registries, repository).unwrap_or_else(|error| panic!("{error}")).1
}

fn challenge(server: &str, more: &str) -> String {
    format!("WWW-Authenticate: Bearer realm=\"http://{server}/token?x=1\",service=\"s v\"{more}")
}

/// A registry with its own token server: tokens are `t0`, `t1`, …, and `valid` says which is.
fn bearer(expires: u32, valid: impl Fn(&str, usize) -> bool + Send + Sync + 'static) -> Server {
    let given = Mutex::new(0);
    Server::new(move |request, before| {
        if request.path.starts_with("/token") {
            let mut given = given.lock().unwrap();
            *given += 1;
            let body = format!("{{\"token\":\"t{}\",\"expires_in\":{expires}}}", *given - 1);
            return reply(200, &[], &body);
        }
        match request.authorization().strip_prefix("Bearer ") {
            Some(token) if valid(token, before) => reply(200, &[], token),
            _ => reply(401, &[&challenge(request.header("host").unwrap(), "")], ""),
        }
    })
}

#[test]
fn a_plain_registry_is_asked_over_http_and_remembered() {
    let server = Server::new(|request, _| reply(200, &[], &request.path));
    let (registries, repository) = (stranger(), repository(&server));
    assert_eq!(ok(&registries, &repository), "/v2/a/b/manifests/x");
    assert_eq!(ok(&registries, &repository), "/v2/a/b/manifests/x");
    assert_eq!(server.asked().len(), 2, "what was no request is not counted: {:?}", server.asked());
    assert_eq!(registries.host(&server.host).unwrap().secure(), Some(false));
}

#[test]
fn what_is_sent_arrives() {
    let server = Server::new(|_, _| reply(201, &["Location: ../up?state=1"], ""));
    let (registries, repository) = (stranger(), repository(&server));
    let mut reader: &[u8] = b"01234567 and more";
    for (method, body, expected) in [
        (Method::POST, Body::Empty, &b""[..]),
        (Method::PUT, Body::Bytes(b"bytes"), b"bytes"),
        (Method::PATCH, Body::Reader { length: 8, reader: &mut reader }, b"01234567"),
        (Method::PUT, Body::Empty, b""),
    ] {
        let to = To::Path("blobs/uploads/".into());
        let headers = vec![("content-type", "application/octet-stream".to_owned())];
        let call = Call { headers, body, ..Call::new(method.clone(), &repository, to, "sending") };
        let answer = registries.call(call).unwrap();
        let at = format!("http://{}/v2/a/b/blobs/uploads/../up?state=1", server.host);
        assert_eq!(answer.location().map(|url| url.text()), Some(at));
        let seen = server.seen().pop().unwrap();
        assert_eq!((seen.method.as_str(), &*seen.body), (method.as_str(), expected));
        assert_eq!(seen.header("content-length"), Some(&*expected.len().to_string()));
        assert_eq!(seen.header("content-type"), Some("application/octet-stream"));
    }
    let call = Call::new(Method::DELETE, &repository, To::Path("manifests/x".into()), "deleting");
    registries.call(call).unwrap();
}

#[test]
fn a_body_that_cannot_be_read_is_not_the_registrys_fault() {
    let server = Server::new(|_, _| reply(201, &[], ""));
    let (registries, repository) = (stranger(), repository(&server));
    let mut reader: &[u8] = b"short";
    let body = Body::Reader { length: 100, reader: &mut reader };
    let call = Call { body, ..Call::new(Method::PATCH, &repository, To::Path("u".into()), "pushing") };
    let error = registries.call(call).err().unwrap();
    assert!(matches!(error, RegistryError::Body { .. }), "{error:?}");
}

#[test]
fn a_token_is_got_and_kept() {
    let server = bearer(300, |_, _| true);
    let (registries, keys) = known_with(hasty(), &[(&server.host, basic("me", "secret"))]);
    let repository = repository(&server);
    assert_eq!(ok(&registries, &repository), "t0");
    assert_eq!(ok(&registries, &repository), "t0");
    let manifest = "GET /v2/a/b/manifests/x";
    let token = "GET /token?x=1&service=s%20v&scope=repository%3Aa%2Fb%3Apull";
    assert_eq!(server.asked(), [manifest, token, manifest, manifest]);
    assert_eq!(server.seen()[1].authorization(), "Basic bWU6c2VjcmV0");
    assert_eq!(keys.asked.lock().unwrap().len(), 1);
}

#[test]
fn a_token_is_for_what_is_done() {
    let server = bearer(300, |_, _| true);
    let (registries, repository) = (stranger(), repository(&server));
    let to = || To::Path("manifests/x".into());
    let access = Access { push: true, delete: false, from: Some("c/d") };
    let put = |access| Call { access, ..Call::new(Method::HEAD, &repository, to(), "pushing") };
    registries.call(put(access)).unwrap();
    assert_eq!(ok(&registries, &repository), "t0", "who may push may pull");
    registries.call(put(Access { delete: true, ..Access::default() })).unwrap();
    let tokens: Vec<String> = server.asked().into_iter().filter(|r| r.contains("/token")).collect();
    assert_eq!(tokens.len(), 2);
    assert!(tokens[0].ends_with("&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%2Fd%3Apull"));
    assert!(tokens[1].ends_with("&scope=repository%3Aa%2Fb%3Adelete%2Cpull"));
    assert_eq!(server.seen()[1].authorization(), "none");
}

#[test]
fn a_challenge_may_want_more() {
    let more = ",scope=\"repository:p/a/b:pull\"";
    let server = Server::new(move |request, _| match request.path.starts_with("/token") {
        true if request.path.contains("p%2Fa%2Fb") => reply(200, &[], r#"{"access_token":"wide"}"#),
        true => reply(200, &[], r#"{"access_token":"narrow"}"#),
        false if request.authorization() == "Bearer wide" => reply(200, &[], "ok"),
        false => reply(401, &[&challenge(request.header("host").unwrap(), more)], ""),
    });
    let (registries, repository) = (stranger(), repository(&server));
    assert_eq!((ok(&registries, &repository), ok(&registries, &repository)), ("ok".into(), "ok".into()));
    assert_eq!(server.asked().len(), 4, "it is asked for at once the second time: {:?}", server.asked());
}

#[test]
fn a_token_that_is_refused_or_old_is_renewed() {
    let server = bearer(300, |token, before| before < 4 || token == "t1");
    let (registries, repository) = (stranger(), repository(&server));
    for expected in ["t0", "t0", "t1", "t1"] {
        assert_eq!(ok(&registries, &repository), expected);
    }
    let server = bearer(1, |_, _| true);
    let repository = self::repository(&server);
    assert_eq!(ok(&registries, &repository), "t0");
    thread::sleep(Duration::from_millis(900));
    assert_eq!(ok(&registries, &repository), "t1");
    let refusals =
        server.seen().iter().filter(|r| r.authorization() == "none" && r.path.contains("/v2/")).count();
    assert_eq!(refusals, 1, "it was known to be old");
}

#[test]
fn a_reader_is_interrupted_by_an_expired_token_and_the_next_call_has_a_new_one() {
    let server = bearer(300, |token, before| before < 4 || token == "t1");
    let (registries, repository) = (stranger(), repository(&server));
    ok(&registries, &repository);
    ok(&registries, &repository);
    let mut reader: &[u8] = b"0123456789";
    let body = Body::Reader { length: 10, reader: &mut reader };
    let call = Call { body, ..Call::new(Method::PATCH, &repository, To::Path("u".into()), "pushing `y`") };
    let error = registries.call(call).err().unwrap();
    assert!(matches!(error, RegistryError::Interrupted { sent: 10, .. }), "{error:?}");
    assert_eq!(ok(&registries, &repository), "t1");
    let call = Call {
        body: Body::Bytes(b"0123"),
        ..Call::new(Method::PATCH, &repository, To::Path("u".into()), "")
    };
    assert_eq!(registries.call(call).unwrap().status, 200);
}

#[test]
fn a_scope_that_does_not_suffice_is_asked_again_once() {
    let server = Server::new(|request, _| {
        let host = request.header("host").unwrap();
        match request.path.starts_with("/token") {
            true => reply(200, &[], r#"{"token":"t"}"#),
            false => {
                let more = challenge(host, ",error=\"insufficient_scope\"");
                reply(403, &[&more], r#"{"errors":[{"code":"DENIED","message":"no"}]}"#)
            }
        }
    });
    let repository = repository(&server);
    let error = get(&stranger(), &repository).unwrap_err();
    assert!(matches!(error, RegistryError::Denied { .. }), "{error:?}");
    assert_eq!(server.asked().len(), 3);
    let says = format!("pulling `x` of `{repository}`: `{}` refuses it: 403, DENIED: no", server.host);
    assert_eq!(error.to_string(), says);
}

#[test]
fn basic_credentials_are_shown_when_they_are_wanted() {
    let server = Server::new(|request, _| match request.authorization() {
        "Basic bWU6c2VjcmV0" => reply(200, &[], "in"),
        _ => reply(401, &["WWW-Authenticate: Basic realm=\"x\""], "<html>"),
    });
    let repository = repository(&server);
    let registries = known(&[(&server.host, basic("me", "secret"))]);
    assert_eq!((ok(&registries, &repository), ok(&registries, &repository)), ("in".into(), "in".into()));
    assert_eq!(server.asked().len(), 3, "the second time it is known what to show");
    let wrong = known(&[(&server.host, basic("me", "wrong"))]);
    let errors = [get(&wrong, &repository).unwrap_err(), get(&stranger(), &repository).unwrap_err()];
    assert!(matches!(errors[0], RegistryError::Unauthorized { credential: true, .. }), "{errors:?}");
    assert!(matches!(errors[1], RegistryError::Unauthorized { credential: false, .. }), "{errors:?}");
    assert!(errors[1].to_string().contains("an HTML page"), "{}", errors[1]);
    assert!(registries.check(&server.host, &basic("me", "secret")).is_ok());
    let refused = registries.check(&server.host, &basic("me", "no"));
    assert!(matches!(refused, Err(RegistryError::Unauthorized { credential: true, .. })), "{refused:?}");
    assert_eq!(server.asked().last().unwrap(), "GET /v2/");
}

#[test]
fn a_bearer_credential_is_sent_as_it_is() {
    let server = bearer(300, |token, _| token == "ready");
    let registries = known(&[(&server.host, Credential::Bearer("ready".into()))]);
    assert_eq!(ok(&registries, &repository(&server)), "ready");
    assert!(!server.asked().iter().any(|r| r.contains("/token")));
}

/// A token server that knows OAuth, or answers a POST with a status that says it doesn't.
fn oauth(status: u16) -> Server {
    Server::new(move |request, before| {
        let host = request.header("host").unwrap();
        match (&*request.method, request.path.starts_with("/token")) {
            ("POST", true) if status == 200 => {
                let body = format!(
                    r#"{{"access_token":"t{before}","expires_in":1,"refresh_token":"new&{before}"}}"#
                );
                reply(200, &[], &body)
            }
            ("POST", true) => reply(status, &[], ""),
            (_, true) => reply(200, &[], r#"{"token":"got"}"#),
            _ if request.authorization() == "none" => reply(401, &[&challenge(host, "")], ""),
            _ => reply(200, &[], request.authorization()),
        }
    })
}

#[test]
fn identity_tokens_are_exchanged_and_rotated() {
    let server = oauth(200);
    let registries = known(&[(&server.host, Credential::Identity("old/1".into()))]);
    let repository = repository(&server);
    assert_eq!(ok(&registries, &repository), "Bearer t1");
    thread::sleep(Duration::from_millis(800));
    assert_eq!(ok(&registries, &repository), "Bearer t3");
    let forms: Vec<String> = server
        .seen()
        .into_iter()
        .filter(|r| r.method == "POST")
        .map(|r| String::from_utf8(r.body).unwrap())
        .collect();
    let form = |token: &str| {
        let scope = "service=s%20v&scope=repository%3Aa%2Fb%3Apull";
        format!("grant_type=refresh_token&client_id=lith&refresh_token={token}&{scope}")
    };
    assert_eq!(forms, [form("old%2F1"), form("new%261")]);
}

#[test]
fn a_token_server_without_oauth_is_asked_with_get() {
    for status in [401, 404, 405] {
        let server = oauth(status);
        let registries = known(&[(&server.host, Credential::Identity("x".into()))]);
        assert_eq!(ok(&registries, &repository(&server)), "Bearer got", "{status}");
        assert_eq!(server.seen()[2].authorization(), "Basic Ong=");
    }
    let server = oauth(400);
    let registries = known(&[(&server.host, Credential::Identity("x".into()))]);
    let error = get(&registries, &repository(&server)).unwrap_err();
    assert!(matches!(error, RegistryError::Status { .. }), "{error:?}");
}

#[test]
fn realms_that_are_not_to_be_asked() {
    for (realm, expected) in [
        ("http://auth.example/token", "is to be asked over plain http"),
        ("ftp://auth.example/", "is no URL to ask"),
        ("/token", "is no URL to ask"),
        ("https://me:pw@auth.example/", "is no URL to ask"),
        ("http://169.254.169.254/token", "is to be asked over plain http"),
        ("https://169.254.169.254/token", "which is refused"),
    ] {
        let header = format!("WWW-Authenticate: Bearer realm=\"{realm}\"");
        let server = Server::new(move |_, _| reply(401, &[&header], ""));
        let registries = known(&[(&server.host, basic("me", "secret"))]);
        let error = get(&registries, &repository(&server)).unwrap_err();
        assert!(error.to_string().contains(expected), "{realm}: {error}");
        assert!(!error.to_string().contains("pw"), "{error}");
    }
}

#[test]
fn tokens_that_are_none() {
    for (body, expected) in [
        ("{}".to_owned(), "it gave no token"),
        ("<html>".to_owned(), "what it gave is no token"),
        (format!("{{\"token\":\"{}\"}}", "x".repeat(70_000)), "more than 65536 bytes"),
    ] {
        let server = Server::new(move |request, _| match request.path.starts_with("/token") {
            true => reply(200, &[], &body),
            false => reply(401, &[&challenge(request.header("host").unwrap(), "")], ""),
        });
        let error = get(&stranger(), &repository(&server)).unwrap_err();
        assert!(matches!(error, RegistryError::Protocol { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_redirect_takes_no_credential_with_it() {
    let other = Server::new(|request, _| reply(200, &[], request.authorization()));
    let to = format!("Location: http://{}/blob?signature=hidden", other.host);
    let server = Server::new(move |request, _| match request.authorization() {
        "none" => reply(401, &["WWW-Authenticate: Basic"], ""),
        _ => reply(307, &[&to], ""),
    });
    let registries = known(&[(&server.host, basic("me", "secret"))]);
    assert_eq!(ok(&registries, &repository(&server)), "none");
    let path = To::Location(format!("http://{}/elsewhere", other.host));
    let repository = repository(&server);
    registries.call(Call::new(Method::GET, &repository, path, "")).unwrap();
    assert!(other.seen().iter().all(|seen| seen.authorization() == "none"));
    let home = To::Location(format!("http://{}/here", server.host));
    registries.call(Call::new(Method::GET, &repository, home, "")).unwrap();
    assert_eq!(server.seen().last().unwrap().authorization(), "Basic bWU6c2VjcmV0");
}

#[test]
fn a_credential_that_is_repeated_is_not_shown() {
    let server = Server::new(|request, _| match request.authorization() {
        "none" => reply(401, &["WWW-Authenticate: Basic"], ""),
        shown => reply(403, &[], &format!("{{\"errors\":[{{\"message\":\"no {shown}\"}}]}}")),
    });
    let registries = known(&[(&server.host, basic("me", "secret"))]);
    let error = get(&registries, &repository(&server)).unwrap_err();
    assert!(error.to_string().contains("are not shown"), "{error}");
    assert!(!format!("{error} {error:?}").contains("bWU6c2VjcmV0"), "{error:?}");
}

#[test]
fn elsewhere_gets_no_credential_by_leading_back() {
    let server = Server::new(|request, _| match &*request.path {
        "/v2/a/b/manifests/x" => reply(200, &[], ""),
        _ => reply(401, &["WWW-Authenticate: Basic"], ""),
    });
    let to = format!("Location: http://{}/v2/a/b/blobs/y", server.host);
    let other = Server::new(move |_, _| reply(307, &[&to], ""));
    let registries = known(&[(&server.host, basic("me", "secret"))]);
    let repository = repository(&server);
    ok(&registries, &repository);
    let path = To::Location(format!("http://{}/layer", other.host));
    let error = registries.call(Call::new(Method::GET, &repository, path, "")).err().unwrap();
    assert!(matches!(error, RegistryError::Unauthorized { credential: false, .. }), "{error:?}");
    assert_eq!(other.seen().len(), 1);
    let seen = server.seen().into_iter().chain(other.seen());
    assert!(seen.into_iter().all(|seen| seen.authorization() == "none"));
}

#[test]
fn redirects_are_followed_within_reason() {
    for (method, location, expected) in [
        (Method::GET, "/v2/loop", "more than 6 redirects"),
        (Method::GET, "file:///etc/passwd", "no usable `Location`"),
        (Method::GET, "http://169.254.169.254/latest", "which is refused"),
        (Method::PUT, "/v2/loop", "a PUT is not redirected with 302"),
    ] {
        let header = format!("Location: {location}");
        let server = Server::new(move |_, _| reply(302, &[&header], ""));
        let repository = repository(&server);
        let call = Call::new(method, &repository, To::Path("x".into()), "asking");
        let error = stranger().call(call).err().unwrap();
        assert!(error.to_string().contains(expected), "{location}: {error}");
    }
    let server = Server::new(|request, before| match before {
        0 => reply(307, &["Location: /there"], ""),
        _ => reply(200, &[], &request.path),
    });
    let repository = repository(&server);
    let call = Call::new(Method::PUT, &repository, To::Path("x".into()), "asking");
    let mut answer = stranger().call(Call { body: Body::Bytes(b"body"), ..call }).unwrap();
    assert_eq!(answer.read(100).unwrap().unwrap(), b"/there");
    assert_eq!(server.seen()[1].body, b"body");
}

#[test]
fn a_registry_elsewhere_does_not_lead_here() {
    let server = Server::new(|_, _| reply(200, &[], ""));
    let registries = stranger();
    let repository = Repository { registry: "registry.example".into(), name: "a/b".into() };
    for (location, expected) in [
        (format!("https://{}/x", server.host), "which is refused"),
        (format!("https://localhost:{}/x", server.host.rsplit_once(':').unwrap().1), "which is refused"),
        ("https://[fe80::1]/x".into(), "which is refused"),
        ("https://0.0.0.0/x".into(), "which is refused"),
        (format!("http://{}/x", server.host), "from https to plain http"),
    ] {
        let call = Call::new(Method::GET, &repository, To::Location(location), "asking");
        let error = registries.call(call).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn what_passes_is_tried_again() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = Server::new(move |_, before| match before {
            0 => reply(status, &["Retry-After: 0"], ""),
            1 => String::new(),
            _ => reply(200, &[], "at last"),
        });
        assert_eq!(ok(&stranger(), &repository(&server)), "at last");
    }
    let server = Server::new(|_, _| reply(429, &[], r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#));
    let error = get(&stranger(), &repository(&server)).unwrap_err();
    assert!(matches!(error, RegistryError::TooManyRequests { .. }), "{error:?}");
    assert!(error.complaint().unwrap().to_string().contains("TOOMANYREQUESTS"));
    assert_eq!(server.asked().len(), 3);
    for status in [400, 404, 501] {
        let server = Server::new(move |_, _| reply(status, &[], ""));
        assert_eq!(get(&stranger(), &repository(&server)).unwrap_err().status(), Some(status));
        assert_eq!(server.asked().len(), 1);
    }
    let nobody = Repository { registry: "127.0.0.1:1".into(), name: "a".into() };
    let error = get(&stranger(), &nobody).unwrap_err();
    assert!(matches!(&error, RegistryError::Connect { why, .. } if why.contains("refused")), "{error:?}");
}

#[test]
fn a_name_that_does_not_resolve_is_told_as_that() {
    // No resolver asks anybody for a name of which a part is so long.
    let host = format!("{}.test", "a".repeat(64));
    let nobody = Repository { registry: host.clone(), name: "a".into() };
    let error = get(&stranger(), &nobody).unwrap_err();
    assert!(matches!(&error, RegistryError::Unresolved { host: named, .. } if *named == host), "{error:?}");
    assert!(error.to_string().contains(&format!("`{host}` does not resolve: ")), "{error}");
}

#[test]
fn the_registry_says_how_long_to_wait() {
    for after in [
        "Retry-After: 1",
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:49:38 GMT",
    ] {
        let server = Server::new(move |_, before| match before {
            0 => reply(503, &[after], ""),
            _ => reply(200, &[], ""),
        });
        let begun = std::time::Instant::now();
        ok(&stranger(), &repository(&server));
        assert!(begun.elapsed() >= Duration::from_secs(1), "{after}");
    }
}

#[test]
fn a_reader_is_sent_once() {
    for answer in [String::new(), reply(503, &[], "")] {
        let server = Server::new(move |request, _| match &*request.method {
            "PATCH" => answer.clone(),
            _ => reply(200, &[], ""),
        });
        let (registries, repository) = (stranger(), repository(&server));
        ok(&registries, &repository);
        let mut reader: &[u8] = b"0123456789";
        let body = Body::Reader { length: 10, reader: &mut reader };
        let call = Call { body, ..Call::new(Method::PATCH, &repository, To::Path("u".into()), "pushing") };
        let error = registries.call(call).err().unwrap();
        assert!(matches!(error, RegistryError::Interrupted { .. }), "{error:?}");
        assert_eq!(server.asked().iter().filter(|r| r.starts_with("PATCH")).count(), 1);
    }
}

#[test]
fn silence_ends_and_a_commit_may_take_longer() {
    let server = Server::new(|request, _| {
        thread::sleep(Duration::from_millis(if request.method == "PUT" { 750 } else { 3000 }));
        reply(201, &[], "")
    });
    let mut settings = hasty();
    settings.retry.tries = 1;
    let registries = known_with(settings, &[]).0;
    let repository = repository(&server);
    let put = Call::new(Method::PUT, &repository, To::Path("u".into()), "committing");
    assert_eq!(registries.call(put).unwrap().status, 201);
    let error = get(&registries, &repository).unwrap_err();
    assert!(matches!(error, RegistryError::Timeout { .. }), "{error:?}");
}

#[test]
fn mirrors_are_asked_first_and_only_to_read() {
    let empty = Server::new(|_, _| reply(404, &[], ""));
    let mirror = Server::new(|request, _| match request.path.contains("/manifests/x") {
        true => reply(200, &[], "mirrored"),
        false => reply(500, &[], ""),
    });
    let server = Server::new(|_, _| reply(200, &[], "itself"));
    let mirrors = vec!["127.0.0.1:1".into(), empty.host.clone(), format!("{}/pre/fix/", mirror.host)];
    let settings = with_host(&server.host, HostSettings { mirrors, ..HostSettings::default() });
    let (registries, keys) = known_with(settings, &[]);
    let repository = repository(&server);
    assert_eq!(ok(&registries, &repository), "mirrored");
    assert_eq!(mirror.asked(), ["GET /v2/pre/fix/a/b/manifests/x"]);
    assert!(server.asked().is_empty());
    let blob = Call::new(Method::GET, &repository, To::Path("blobs/y".into()), "pulling");
    assert_eq!(registries.call(blob).unwrap().status, 200);
    assert_eq!(server.asked(), ["GET /v2/a/b/blobs/y"], "the mirror that fails gives way");
    let asked = empty.asked().len() + mirror.asked().len();
    let push = Access { push: true, ..Access::default() };
    for (method, path, access) in [
        (Method::GET, "tags/list", Access::default()),
        (Method::HEAD, "manifests/x", push),
        (Method::PUT, "manifests/x", push),
        (Method::GET, "blobs/uploads/1", Access::default()),
    ] {
        let call = Call { access, ..Call::new(method, &repository, To::Path(path.into()), "asking") };
        assert_eq!(registries.call(call).unwrap().status, 200);
    }
    assert_eq!(empty.asked().len() + mirror.asked().len(), asked);
    assert!(keys.asked.lock().unwrap().is_empty());
}

#[test]
fn a_mirror_has_its_own_credential() {
    let mirror = Server::new(|request, _| match request.authorization() {
        "none" => reply(401, &["WWW-Authenticate: Basic"], ""),
        shown => reply(200, &[], shown),
    });
    let mirrors = vec![format!("{}/p", mirror.host)];
    let settings = with_host("registry.example", HostSettings { mirrors, ..HostSettings::default() });
    let keys = [("registry.example", basic("not", "this")), (mirror.host.as_str(), basic("me", "secret"))];
    let (registries, keys) = known_with(settings, &keys);
    let repository = Repository { registry: "registry.example".into(), name: "a/b".into() };
    assert_eq!(ok(&registries, &repository), "Basic bWU6c2VjcmV0");
    assert_eq!(*keys.asked.lock().unwrap(), [(mirror.host.clone(), "p/a/b".to_owned())]);
}

#[test]
fn names_that_are_no_hosts() {
    for name in ["", "..", "a..b", "a/b", "a b", "u@h", "h:port", "h?x"] {
        let repository = Repository { registry: name.into(), name: "a".into() };
        let error = get(&stranger(), &repository).unwrap_err();
        assert!(matches!(error, RegistryError::Host { .. }), "{name}: {error:?}");
    }
}

#[test]
fn a_connection_that_breaks_says_nothing_about_tls() {
    let server = Server::new(|_, before| match before {
        0 => reply(400, &[], "Client sent an HTTP request to an HTTPS server."),
        _ => reply(200, &[], "plain"),
    });
    let (registries, repository) = (stranger(), repository(&server));
    assert_eq!(ok(&registries, &repository), "plain");
    assert_eq!(server.asked().len(), 2, "the first was no answer");
}

#[test]
fn nothing_shows_a_secret() {
    listen();
    let server = bearer(300, |token, _| token == "t1");
    let registries = known(&[(&server.host, basic("me", "hidden"))]);
    let repository = repository(&server);
    let error = get(&registries, &repository).unwrap_err();
    assert_eq!(ok(&registries, &repository), "t1");
    let location = To::Location(format!("http://{}/up?_state=hidden", server.host));
    registries.call(Call::new(Method::GET, &repository, location.clone(), "going on")).unwrap();
    let told = logged().join("\n");
    let line = format!("GET http://{}/up?…: 200, 2 bytes", server.host);
    assert!(told.contains(&line), "{told}");
    assert!(told.contains(&format!("GET http://{}/token?…: 200", server.host)), "{told}");
    let all = format!("{told} {error} {error:?} {registries:?} {:?}", registries.host(&server.host));
    for secret in ["hidden", "aGlkZGVu", "Bearer t", "Basic ", "bWU6"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    let proxied = crate::http::Http { http_proxy: Some("http://u:hidden@p:1".into()), ..Default::default() };
    assert!(!format!("{proxied:?}").contains("hidden"));
}
