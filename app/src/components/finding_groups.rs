use super::FindingCard;
use crate::quality::{Finding, Group, groups};
use leptos::prelude::*;

/// The expectations of a suite by column, under a table of contents that says where something is not met.
#[component]
pub fn FindingGroups(findings: Vec<Finding>) -> impl IntoView {
    let groups = groups(findings);
    let entry = |(index, group): (usize, &Group)| {
        let tally = match group.not_met() {
            0 => view! { <span class="contents-tally">{format!("{} met", group.findings.len())}</span> }.into_any(),
            unmet => {
                let tally = format!("{unmet} of {} not met", group.findings.len());
                view! { <span class="contents-tally down">{tally}</span> }.into_any()
            }
        };
        view! {
            <li>
                <a href=format!("#group-{index}") rel="external">{title(group)}</a>
                {tally}
            </li>
        }
    };
    let contents = groups.iter().enumerate().map(entry).collect_view();
    let sections = groups.into_iter().enumerate().map(|(index, group)| {
        let heading = title(&group);
        view! {
            <section class="finding-group" aria-labelledby=format!("group-{index}")>
                <h3 id=format!("group-{index}")>{heading}</h3>
                <ol class="finding-list">
                    {group.findings.into_iter().map(|finding| view! { <FindingCard finding /> }).collect_view()}
                </ol>
            </section>
        }
    });
    view! {
        <div class="finding-groups">
            <nav class="contents" aria-label="Columns">
                <ul>{contents}</ul>
            </nav>
            <div>{sections.collect_view()}</div>
        </div>
    }
}

fn title(group: &Group) -> AnyView {
    if group.is_column {
        view! { <code>{group.title.clone()}</code> }.into_any()
    } else {
        group.title.clone().into_any()
    }
}
