//! Sorting and grouping, which end when the evaluation does.

use jaq_core::box_iter::box_once;
use jaq_core::native::{Fun, run, v};
use jaq_core::{Bind, Cv, Error, Exn, ValX};

use super::super::meter;
use super::super::value::{Val, fail, paid, sorted, unpaid};
use super::Engine;

pub(super) fn filters() -> impl Iterator<Item = Fun<Engine>> {
    let by = || [Bind::Fun(())].into();
    [
        run::<Engine>(("sort", v(0), |cv| {
            let items = items(&cv.1).map(<[Val]>::to_vec);
            let sorted = items.and_then(|it| sorted(it, Val::cmp).ok_or_else(unpaid));
            box_once(sorted.map(Val::array).map_err(Exn::from))
        })),
        run::<Engine>(("sort_by", by(), |cv| {
            box_once(sorted_by(cv).map(|keyed| keyed.into_iter().map(|(_, it)| it).collect()))
        })),
        run::<Engine>(("group_by", by(), |cv| box_once(sorted_by(cv).map(grouped)))),
    ]
    .into_iter()
}

/// An item after what it is sorted by.
type Keyed = (Vec<Val>, Val);

fn items(value: &Val) -> Result<&[Val], Error<Val>> {
    let Val::Arr(array) = value else {
        let name = value.type_name();
        return Err(fail(format!(
            "{name} ({value}) cannot be sorted, as it is not an array"
        )));
    };
    paid(meter::charge(array.items().len() as u64))?;
    Ok(array.items())
}

fn sorted_by<'a>(mut cv: Cv<'a, Engine>) -> ValX<'a, Vec<Keyed>, Val> {
    /// A key is a list: what it takes beside its values, in fuel.
    const KEY: u64 = 4;
    let (f, context) = cv.0.pop_fun();
    let keyed = items(&cv.1)?.iter().map(|item| {
        paid(meter::charge(KEY))?;
        let outputs = f.run((context.clone(), item.clone()));
        Ok((outputs.collect::<Result<Vec<_>, _>>()?, item.clone()))
    });
    let keyed = keyed.collect::<Result<Vec<_>, Exn<'a, Val>>>()?;
    sorted(keyed, |(a, _), (b, _)| a.cmp(b)).ok_or_else(|| Exn::from(unpaid()))
}

fn grouped(keyed: Vec<Keyed>) -> Val {
    let mut groups: Vec<(Vec<Val>, Vec<Val>)> = Vec::new();
    for (key, item) in keyed {
        match groups.last_mut() {
            Some((last, group)) if *last == key => group.push(item),
            _ => groups.push((key, vec![item])),
        }
    }
    groups
        .into_iter()
        .map(|(_, group)| Val::array(group))
        .collect()
}
