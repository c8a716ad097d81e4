//! What the world answers by now.

use std::sync::Mutex;

use super::*;

#[test]
fn what_a_server_gives_by_now_is_compared() {
    let world = World::new();
    let text = Arc::new(Mutex::new("one"));
    let (given, heads) = (Arc::clone(&text), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&heads);
    let origin = Origin::new(move |request| {
        let text = *given.lock().unwrap();
        seen.lock().unwrap().push(request.to_lowercase());
        let tag = format!("ETag: \"{text}\"\r\nContent-Length: {}", text.len());
        match request.split(' ').nth(1).unwrap() {
            "/tagged" if request.contains(&format!("\"{text}\"")) => response("304 Same", "", ""),
            "/tagged" => response("200 OK", &tag, text),
            "/latest" => response("302 Found", &format!("Location: /once?{text}\r\nContent-Length: 0"), ""),
            path if path == format!("/once?{text}") => ok(text),
            "/plain" => ok(text),
            "/gone" if text == "one" => ok(text),
            _ => response("404 No", "Content-Length: 0", ""),
        }
    });
    let running = world.recording();
    for path in ["/tagged", "/latest", "/once?one", "/plain", "/gone", "/missing"] {
        running.get(&origin.url(path));
    }
    let (entries, _) = running.finish();
    assert_eq!(entries.len(), 6);
    let session = || Session::new(&world.store, entries.clone(), World::options(Unknown::Refused));
    heads.lock().unwrap().clear();
    let moved = session().moved();
    assert!(moved.changes.is_empty() && moved.unknown.is_empty(), "{moved:?}");
    assert_eq!(
        heads.lock().unwrap().iter().filter(|head| head.contains("if-none-match: \"one\"")).count(),
        1
    );

    *text.lock().unwrap() = "two";
    let moved = session().moved();
    let names: Vec<&str> = moved.changes.iter().map(|change| change.name.as_str()).collect();
    let expected = ["/once?one", "/plain", "/tagged"].map(|path| origin.url(path));
    assert_eq!(names, expected.each_ref());
    let to = Digest::of(b"two").to_string();
    assert!(moved.changes.iter().all(|change| change.to.as_ref() == Some(&to)), "{moved:?}");
    assert_eq!(moved.unknown, [format!("`{}`: the server answered 404", origin.url("/gone"))]);
}

/// A server whose `/latest` leads to `/2`, or `/1` if it was rolled back; files have what `headers` says, and one who
/// names any date or tag is told 304.
fn rolling(headers: &'static str) -> (Origin, Arc<Mutex<bool>>) {
    let back = Arc::new(Mutex::new(false));
    let is_back = Arc::clone(&back);
    let origin = Origin::new(move |request| {
        let version = if *is_back.lock().unwrap() { "1" } else { "2" };
        let head = format!("{headers}\r\nContent-Length: 1");
        match request.split(' ').nth(1).unwrap() {
            _ if request.to_lowercase().contains("\r\nif-") => response("304 Same", "", ""),
            "/latest" => response("302 Found", &format!("Location: /{version}\r\nContent-Length: 0"), ""),
            "/file" => response("200 OK", &head, version),
            path => response("200 OK", &head, &path[1..]),
        }
    });
    (origin, back)
}

#[test]
fn what_was_rolled_back_has_moved() {
    const DATE: &str = "Last-Modified: Tue, 01 Sep 2020 10:00:00 GMT";
    for (headers, paths, moved) in [
        (DATE, &["/latest", "/2"][..], "/2"),
        ("ETag: \"1-5ae\"", &["/latest", "/2"][..], "/2"),
        (DATE, &["/file"][..], "/file"),
    ] {
        let world = World::new();
        let (origin, back) = rolling(headers);
        let running = world.recording();
        for path in paths {
            running.get(&origin.url(path));
        }
        let (entries, _) = running.finish();
        let now = || Session::new(&world.store, entries.clone(), World::options(Unknown::Refused)).moved();
        let same = now();
        assert!(same.changes.is_empty() && same.unknown.is_empty(), "{same:?}");
        *back.lock().unwrap() = true;
        let changes = now().changes;
        assert_eq!(changes.len(), 1, "{headers}: {changes:?}");
        assert_eq!(changes[0].name, origin.url(moved));
        assert_eq!(changes[0].to, Some(Digest::of(b"1").to_string()));
    }
}

#[test]
fn a_server_that_answers_what_nobody_asked_says_nothing() {
    let world = World::new();
    let origin = Origin::new(|request| match request.split(' ').nth(1).unwrap() {
        "/from" => response("302 Found", "Location: /to\r\nContent-Length: 0", ""),
        "/tagged" if request.to_lowercase().contains("\r\nif-none-match: w/\"a, \"b\"\r\n") => {
            response("304 Same", "", "")
        }
        "/tagged" => response("200 OK", "ETag: W/\"a, \"b\"\r\nContent-Length: 1", "x"),
        _ => response("304 Same", "", ""),
    });
    let tagged = |tag: &str| LockedResponse {
        digest: Some(Digest::of(b"x")),
        size: Some(1),
        etag: HeaderValue::new(tag),
        ..LockedResponse::of_status(200)
    };
    let led = LockedResponse { location: HeaderValue::new("/to"), ..LockedResponse::of_status(302) };
    let entries = Entries::from([
        (origin.url("/plain"), LockedResponse { etag: None, ..tagged("") }),
        (origin.url("/from"), led),
        (origin.url("/to"), LockedResponse { etag: None, ..tagged("") }),
        (origin.url("/tagged"), tagged("W/\"a, \"b\"")),
    ]);
    let moved = Session::new(&world.store, entries, World::options(Unknown::Refused)).moved();
    assert!(moved.changes.is_empty(), "{moved:?}");
    let unknown = ["/plain", "/to"].map(|path| format!("`{}`: the server answered 304", origin.url(path)));
    assert_eq!(moved.unknown, unknown, "the tag is sent as it was given");
}

#[test]
fn each_beginning_is_asked() {
    let world = World::new();
    let moved = Arc::new(Mutex::new(""));
    let which = Arc::clone(&moved);
    let origin = Origin::new(move |request| match request.split(' ').nth(1).unwrap() {
        path @ ("/a" | "/b" | "/c") => {
            let to = if *which.lock().unwrap() == path { "other" } else { "file" };
            response("302 Found", &format!("Location: /{to}\r\nContent-Length: 0"), "")
        }
        path => ok(path),
    });
    let running = world.recording();
    for path in ["/a", "/b", "/c", "/file"] {
        running.get(&origin.url(path));
    }
    let (entries, _) = running.finish();
    let session = || Session::new(&world.store, entries.clone(), World::options(Unknown::Refused));
    let before = origin.count();
    assert!(session().moved().changes.is_empty());
    assert_eq!(origin.count() - before, 6, "each redirect, and what it leads to");
    for path in ["/a", "/b", "/c"] {
        *moved.lock().unwrap() = path;
        let changes = session().moved().changes;
        assert_eq!(changes.len(), 1, "{path}: {changes:?}");
        assert_eq!(changes[0].to, Some(Digest::of(b"/other").to_string()));
    }
}

#[test]
fn many_redirects_are_looked_through_once() {
    const PAIRS: usize = 5000;
    let world = World::new();
    let mut entries = Entries::new();
    for n in 0..PAIRS {
        let location = HeaderValue::new(&format!("http://127.0.0.1:1/to/{n}?signed"));
        let led = LockedResponse { location, ..LockedResponse::of_status(302) };
        let digest = Some(Digest::of(b"x"));
        let given = LockedResponse { digest, size: Some(1), ..LockedResponse::of_status(200) };
        entries.insert(format!("http://127.0.0.1:1/from/{n}"), led);
        entries.insert(format!("http://127.0.0.1:1/to/{n}?signed"), given);
    }
    // Nobody is asked: what is measured is how long it takes to know whom.
    let options = Options { loopback: false, ..World::options(Unknown::Refused) };
    let started = std::time::Instant::now();
    let moved = Session::new(&world.store, entries, options).moved();
    assert_eq!(moved.unknown.len(), PAIRS);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
