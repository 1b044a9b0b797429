//! The steps of a command for `--debug`: a subscriber of `tracing` that writes each down at once, so that the last line names what a
//! command hangs in.
//!
//! The stages of a command are spans: where each begins and where it ends, with the time it took. Events between them are told
//! as they come. There is one thread, so what is open is a stack. Nothing is told on the container's side: its process is a
//! copy of this one, or shares its memory, and tells its parent what it has to tell.

use serde_json::Value;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// What a line says besides its text, by key.
pub(crate) type Details = [(&'static str, Value)];

/// Takes a line.
pub(crate) type Listener = Box<dyn Fn(&str, &Details) + Send + Sync>;

/// Tells `listener` every step from now on.
pub(crate) fn listen(listener: Listener) {
    let steps = Steps { listener, began: Instant::now(), open: Mutex::default() };
    // Who listens already goes on; there is one command in a process.
    let _second = tracing::subscriber::set_global_default(steps);
}

struct Steps {
    listener: Listener,
    began: Instant,
    open: Mutex<Open>,
}

/// The stages that the command is in, the outermost first.
#[derive(Default)]
struct Open {
    last: u64,
    stages: Vec<Stage>,
}

struct Stage {
    id: u64,
    name: &'static str,
    began: Instant,
}

impl Steps {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, text: &str, stages: &[&'static str], took: Option<Instant>) {
        let mut details = vec![("at_ms", milliseconds(self.began))];
        if !stages.is_empty() {
            details.insert(0, ("stage", stages.join("/").into()));
        }
        details.extend(took.map(|began| ("took_ms", milliseconds(began))));
        (self.listener)(text, &details);
    }
}

impl Open {
    fn names(&self) -> Vec<&'static str> {
        self.stages.iter().map(|stage| stage.name).collect()
    }
}

/// To the microsecond.
fn milliseconds(since: Instant) -> Value {
    (since.elapsed().as_micros() as f64 / 1000.0).into()
}

impl Subscriber for Steps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let name = span.metadata().name();
        let mut text = Text::default();
        span.record(&mut text);
        let (id, names) = {
            let mut open = self.open();
            open.last += 1;
            let id = open.last;
            open.stages.push(Stage { id, name, began: Instant::now() });
            (id, open.names())
        };
        self.tell(&format!("{name}: begin{}", text.fields), &names, None);
        Id::from_u64(id)
    }

    fn try_close(&self, id: Id) -> bool {
        let (stage, names) = {
            let mut open = self.open();
            let names = open.names();
            let at = open.stages.iter().position(|stage| stage.id == id.into_u64());
            (at.map(|at| open.stages.remove(at)), names)
        };
        if let Some(stage) = stage {
            self.tell(&format!("{}: end", stage.name), &names, Some(stage.began));
        }
        true
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let names = self.open().names();
        self.tell(&format!("{}{}", text.message, text.fields), &names, None);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The words of an event or a span.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A string takes whatever is written to it.
        let _written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, ", {name} {value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn stages_are_told_where_they_begin_and_end_with_their_time() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&told);
        let listener: Listener = Box::new(move |text, details| {
            let keys: Vec<&str> = details.iter().map(|(key, _)| *key).collect();
            let stage = details.iter().find(|(key, _)| *key == "stage");
            let stage = stage.map_or("", |(_, value)| value.as_str().unwrap()).to_owned();
            into.lock().unwrap().push(format!("{stage}|{text}|{}", keys.join(" ")));
        });
        listen(listener);
        tracing::debug!("before");
        tracing::debug_span!("create", container = %"web").in_scope(|| {
            tracing::debug_span!("plan").in_scope(|| tracing::debug!("pid {}", 7));
            tracing::trace!("too much");
        });
        let told = told.lock().unwrap();
        let wanted = [
            "|before|at_ms",
            "create|create: begin, container web|stage at_ms",
            "create/plan|plan: begin|stage at_ms",
            "create/plan|pid 7|stage at_ms",
            "create/plan|plan: end|stage at_ms took_ms",
            "create|create: end|stage at_ms took_ms",
        ];
        assert_eq!(*told, wanted);
    }
}
