//! What the filters of the language look at.

use super::{Origins, Scope, Term, Walk};

/// Filters that look neither at their input nor at what their arguments see of it.
const BLIND: &[(&str, usize)] = &[
    ("empty", 0),
    ("null", 0),
    ("true", 0),
    ("false", 0),
    ("infinite", 0),
    ("nan", 0),
    ("have_decnum", 0),
    ("have_literal_numbers", 0),
    ("error", 1),
    ("range", 1),
    ("range", 2),
    ("range", 3),
    ("add", 1),
    ("isempty", 1),
    ("isvalid", 1),
    ("IN", 2),
    ("pow", 2),
    ("atan2", 2),
    ("fmin", 2),
    ("fmax", 2),
    ("fmod", 2),
    ("copysign", 2),
    ("drem", 2),
    ("nexttoward", 2),
    ("nextafter", 2),
    ("ldexp", 2),
    ("scalb", 2),
    ("scalbln", 2),
    ("remainder", 2),
    ("hypot", 2),
    ("fdim", 2),
    ("fma", 3),
];

impl<'t, 's> Walk<'t, 's> {
    pub(super) fn builtin(
        &mut self,
        name: &str,
        args: &'t [Term<'s>],
        dot: &Origins,
        scope: &Scope<'t, 's>,
    ) -> Origins {
        match (name, args) {
            ("select", [condition]) => {
                self.used(condition, dot, scope);
                dot.clone()
            }
            ("first" | "last", [outputs]) => self.term(outputs, dot, scope),
            ("limit" | "skip" | "nth", [count, outputs]) => {
                self.used(count, dot, scope);
                self.term(outputs, dot, scope)
            }
            // The condition sees the outputs of the generator.
            ("any" | "all" | "INDEX", [generator, condition]) => {
                let items = self.term(generator, dot, scope);
                self.read(&items);
                self.used(condition, &items, scope);
                Origins::none()
            }
            ("map", [each]) => {
                let item = self.looked_through(dot);
                self.used(each, &item, scope);
                Origins::none()
            }
            _ => {
                if !BLIND.contains(&(name, args.len())) {
                    self.read(dot);
                }
                args.iter().for_each(|arg| self.used(arg, dot, scope));
                Origins::none()
            }
        }
    }
}
