//! Heredocs: `<<[-]["']WORD` on `RUN`, `COPY` and `ADD`.

/// Takes the tabs off the start of each line, as `<<-` asks.
pub(super) fn chomp(content: &str) -> String {
    content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
}
