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
