//! Random group sets: the relation is a partial order, every group is covered, and the plan keeps its promise.
#![allow(clippy::unwrap_used)]

mod common;

use common::group_set;
use legonf_splitter::{GroupSet, Lattice, Mode, Plan, Relation, explain, is_included, svg};
use proptest::prelude::*;

proptest! {
    #[test]
    fn inclusion_is_a_partial_order(set in group_set()) {
        let lattice = Lattice::new(&set);
        let all = lattice.elements();
        for a in all {
            prop_assert!(is_included(&a.keyed, &a.keyed));
            for b in all {
                let both = is_included(&a.keyed, &b.keyed) && is_included(&b.keyed, &a.keyed);
                prop_assert_eq!(both, a.keyed == b.keyed, "{} {}", a, b);
                for c in all {
                    let chain = is_included(&a.keyed, &b.keyed) && is_included(&b.keyed, &c.keyed);
                    prop_assert!(!chain || is_included(&a.keyed, &c.keyed), "{} {} {}", a, b, c);
                }
            }
        }
    }

    #[test]
    fn relations_mirror_each_other(set in group_set()) {
        let lattice = Lattice::new(&set);
        let count = lattice.elements().len();
        for (a, b) in (0..count).flat_map(|a| (0..count).map(move |b| (a, b))) {
            let mirrored = match lattice.relation(b, a) {
                Relation::Includes => Relation::Included,
                Relation::Included => Relation::Includes,
                same => same,
            };
            prop_assert_eq!(lattice.relation(a, b), mirrored);
            prop_assert_eq!(lattice.relation(a, b) == Relation::Equal, a == b);
        }
    }

    #[test]
    fn every_granularity_has_a_maximal_one_above_it(set in group_set()) {
        let lattice = Lattice::new(&set);
        let maximal = lattice.granularities();
        for element in lattice.elements() {
            let above = maximal.iter().filter(|m| is_included(&element.keyed, &lattice.elements()[**m].keyed));
            prop_assert!(above.count() > 0, "{}", element);
        }
    }

    #[test]
    fn plans_cover_every_group_and_keep_their_promise(set in group_set()) {
        let exact = Plan::exact(&set);
        prop_assert_eq!(exact.check(&set), Ok(()));
        prop_assert!(exact.divided(&set).is_empty());
        prop_assert_eq!(Plan::approximate(&set).check(&set), Ok(()));
        // An approximate plan that divides nothing may be called exact, another may not.
        let claimed = Plan { mode: Mode::Exact, ..Plan::approximate(&set) };
        prop_assert_eq!(claimed.check(&set).is_ok(), claimed.divided(&set).is_empty());
        let coupled = set.coupled().count() > 0;
        prop_assert!(!coupled || exact.is_whole());
    }

    #[test]
    fn plans_and_drawings_are_well_formed(set in group_set()) {
        let plan = Plan::exact(&set);
        let text = toml::to_string(&plan).unwrap();
        prop_assert_eq!(toml::from_str::<Plan>(&text).unwrap(), plan.clone(), "{}", text);
        prop_assert!(explain(&set, plan).to_string().contains("granularities (in-degree 0)"));
        prop_assert!(svg(&set, &Lattice::new(&set)).ends_with("</svg>\n"));
    }
}

#[test]
fn a_plan_for_another_schema_or_with_a_gap_is_refused() {
    let set = |name: &str, rest: &str| {
        GroupSet::from_toml(&format!("name = '{name}'\n[[group]]\nname = 'H'\nfields = ['SrcIP']\n{rest}"))
            .unwrap()
    };
    let more = "[[group]]\nname = 'V'\nfields = ['VLAN']\n";
    let (one, two) = (set("one", ""), set("one", more));
    let refused = |plan: Plan, set: &GroupSet| plan.check(set).unwrap_err().to_string();
    assert!(
        refused(Plan::exact(&set("two", "")), &one)
            .starts_with("the plan is for the schema \"two\", not for \"one\"")
    );
    assert!(
        refused(Plan::exact(&one), &two).contains("names 0 routes for group \"V\" and packets of kind arp")
    );
    assert!(refused(Plan::exact(&two), &one).contains("names group \"V\""));
    let mut twice = Plan::exact(&one);
    twice.shards.push(twice.shards[0].clone());
    assert!(refused(twice, &one).contains("names 2 routes"));
}
