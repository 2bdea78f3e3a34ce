//! What `tidegate inspect` prints, for people and for programs.

use super::access::{Access, Kind};
use crate::config::ComponentConfig;
use crate::runtime::{Import, Inspection};
use serde_json::{Value, json};
use std::fmt::Write;

/// What to do about an import that nobody serves.
const UNSERVED: &str = "build the component without it, or compose it with one that provides it (`wac plug`)";
/// What to do about a label.
const LABELLED: &str = "this version binds no labels: import the interface by its own name";

/// An import as it is told.
struct Told<'a> {
    import: &'a Import,
    access: Access,
}

fn told<'a>(inspection: &'a Inspection, component: &ComponentConfig) -> Vec<Told<'a>> {
    let imports = inspection.imports.iter();
    imports
        .map(|(import, is_served)| Told {
            import,
            access: Access::of(import, *is_served, &component.grants),
        })
        .collect()
}

fn is_called(inspection: &Inspection, export: &str) -> bool {
    inspection.handler.is_some_and(|handler| handler.is(export))
}

pub(super) fn as_text(inspection: &Inspection, component: &ComponentConfig) -> String {
    let mut text = String::new();
    head(&mut text, inspection, component);
    imports(&mut text, inspection, component);
    exports(&mut text, inspection);
    if !inspection.problems.is_empty() {
        line(&mut text, format_args!("\ncannot be served"));
        for problem in &inspection.problems {
            line(&mut text, format_args!("  {problem}"));
        }
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{arguments}");
}

fn head(text: &mut String, inspection: &Inspection, component: &ComponentConfig) {
    let handler = inspection.handler;
    let name = handler.map_or("none Tidegate can call", |handler| handler.as_str());
    line(text, format_args!("digest     sha256:{}", inspection.digest));
    line(text, format_args!("dialect    {}", inspection.dialect.as_str()));
    line(text, format_args!("handler    {name}"));
    if let Some(handler) = handler {
        line(text, format_args!("isolation  {}", handler.isolations().join(", ")));
    }
    if let Some(needs) = &inspection.needs {
        let limit = component.limits.memory;
        line(
            text,
            format_args!(
                "memory     {}, starting with {} bytes of {limit}",
                needs.memories, needs.memory_bytes
            ),
        );
        line(text, format_args!("tables     {}", needs.tables));
        line(text, format_args!("pool       {} place(s) each", needs.places));
    }
}

fn imports(text: &mut String, inspection: &Inspection, component: &ComponentConfig) {
    let told = told(inspection, component);
    let flavour = |import: &Import| if import.is_async { " (async)" } else { "" };
    let mut group = |title: &str, is_of: &dyn Fn(&Access) -> bool, after: &[String]| {
        let mut members = told.iter().filter(|told| is_of(&told.access)).peekable();
        if members.peek().is_none() {
            return;
        }
        line(text, format_args!("\n{title}"));
        for Told { import, .. } in members {
            line(text, format_args!("  {}{}", import.name, flavour(import)));
        }
        for more in after {
            line(text, format_args!("    {more}"));
        }
    };
    group("imports, served", &|access| *access == Access::Served, &[]);
    for kind in Kind::ALL {
        let reached = told.iter().find_map(|told| match &told.access {
            Access::Granted(of, reached) if *of == kind => Some(reached),
            _ => None,
        });
        let title = format!("imports, granted by `{}`", kind.as_str());
        let reached: Vec<_> = reached.into_iter().flatten().map(|to| format!("-> {to}")).collect();
        group(
            &title,
            &|access| matches!(access, Access::Granted(of, _) if *of == kind),
            &reached,
        );
        let title = format!("imports, denied when called without a grant for `{}`", kind.as_str());
        let help = [
            format!("to grant it: {}", kind.line()),
            format!("on the command line: {}", kind.flag()),
        ];
        group(&title, &|access| *access == Access::Denied(kind), &help);
    }
    let help = [UNSERVED.to_owned()];
    group("imports, not served", &|access| *access == Access::Unserved, &help);
    if !inspection.labels.is_empty() {
        line(text, format_args!("\nimports under labels, not bound"));
        for label in &inspection.labels {
            line(text, format_args!("  {label}"));
        }
        line(text, format_args!("    {LABELLED}"));
    }
}

fn exports(text: &mut String, inspection: &Inspection) {
    line(text, format_args!("\nexports"));
    for export in &inspection.exports {
        // Toolchains export what is for their own use beside the handler.
        let called = if is_called(inspection, export) {
            ""
        } else {
            " (not called)"
        };
        line(text, format_args!("  {export}{called}"));
    }
}

pub(super) fn as_json(inspection: &Inspection, component: &ComponentConfig) -> Value {
    let needs = inspection.needs;
    let label = |label: &crate::runtime::Label| json!({ "name": label.name, "interface": label.interface, "access": "not bound", "help": LABELLED });
    let exports = inspection.exports.iter();
    json!({
        "digest": format!("sha256:{}", inspection.digest),
        "dialect": inspection.dialect.as_str(),
        "handler": inspection.handler.map(|handler| handler.as_str()),
        "isolation": inspection.handler.map_or(&[][..], |handler| handler.isolations()),
        "memories": needs.map(|needs| needs.memories),
        "memory_bytes": needs.map(|needs| needs.memory_bytes),
        "memory_limit_bytes": component.limits.memory,
        "tables": needs.map(|needs| needs.tables),
        "pool_places": needs.map(|needs| needs.places),
        "imports": told(inspection, component).iter().map(import_json).collect::<Vec<_>>(),
        "labels": inspection.labels.iter().map(label).collect::<Vec<_>>(),
        "exports": inspection.exports,
        "exports_called": exports.filter(|export| is_called(inspection, export)).collect::<Vec<_>>(),
        "can_be_served": inspection.problems.is_empty(),
        "problems": inspection.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn import_json(told: &Told<'_>) -> Value {
    let mut said = json!({
        "name": told.import.name,
        "async": told.import.is_async,
        "access": told.access.as_str(),
    });
    let more = match &told.access {
        Access::Served => return said,
        Access::Granted(kind, reached) => json!({ "grant": kind.as_str(), "reaches": reached }),
        Access::Denied(kind) => json!({ "grant": kind.as_str(), "line": kind.line(), "flag": kind.flag() }),
        Access::Unserved => json!({ "help": UNSERVED }),
    };
    if let (Some(said), Value::Object(more)) = (said.as_object_mut(), more) {
        said.extend(more);
    }
    said
}
