//! Tags and referrers, page by page.

use serde_json::{Value, json};

use super::Shared;
use super::http::{Head, Response};

pub(super) fn tags(shared: &Shared, head: &Head, name: &str) -> Response {
    let state = shared.state();
    let Some(repository) = state.repositories.get(name) else {
        return Response::error(404, "NAME_UNKNOWN", "repository name not known to registry");
    };
    let tags: Vec<String> = repository.tags.keys().cloned().collect();
    let (page, link) = page(shared, head, tags, String::as_str);
    let mut answer = Response::json(200, &json!({ "name": name, "tags": page }));
    answer.set("Link", link);
    answer
}

pub(super) fn referrers(shared: &Shared, head: &Head, name: &str, subject: &str) -> Response {
    let wanted = head.parameter("artifactType");
    let state = shared.state();
    let manifests = state.repositories.get(name).into_iter().flat_map(|repository| &repository.manifests);
    let mut found: Vec<(String, Value)> = Vec::new();
    for (digest, manifest) in manifests {
        let Ok(value) = serde_json::from_slice::<Value>(&manifest.bytes) else { continue };
        if value["subject"]["digest"] != subject {
            continue;
        }
        let kind = value.get("artifactType").unwrap_or(&value["config"]["mediaType"]);
        if wanted.as_ref().is_none_or(|wanted| kind == wanted) {
            let mut descriptor = json!({
                "mediaType": manifest.media_type, "digest": digest, "size": manifest.bytes.len(),
                "artifactType": kind,
            });
            if let Some(annotations) = value.get("annotations") {
                descriptor["annotations"] = annotations.clone();
            }
            found.push((digest.clone(), descriptor));
        }
    }
    let (found, link) = page(shared, head, found, |(digest, _)| digest);
    let found: Vec<Value> = found.into_iter().map(|(_, descriptor)| descriptor).collect();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": found });
    let mut answer = Response::json(200, &index).with("Content-Type", media_type);
    answer.set("OCI-Filters-Applied", wanted.map(|_| "artifactType".to_owned()));
    answer.set("Link", link);
    answer
}

/// The entries after `last`, as many as `n` and the registry's own bound allow, and the `Link` to the rest.
fn page<T>(shared: &Shared, head: &Head, all: Vec<T>, key: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
    let wished = head.parameter("n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let count = wished.min(shared.options.page.unwrap_or(usize::MAX));
    let last = head.parameter("last").unwrap_or_default();
    let mut rest: Vec<T> = all.into_iter().filter(|entry| key(entry) > last.as_str()).collect();
    if rest.len() <= count {
        return (rest, None);
    }
    rest.truncate(count);
    let kept =
        head.parameter("artifactType").map(|kind| format!("&artifactType={}", kind.replace('+', "%2B")));
    let last = rest.last().map(&key).unwrap_or_default();
    let link = format!("<{}?n={count}&last={last}{}>; rel=\"next\"", head.path, kept.unwrap_or_default());
    (rest, Some(link))
}
