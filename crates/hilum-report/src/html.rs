//! The report as one HTML page: no script, no request to anywhere, pictures inline.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::canvas::Rgb;
use crate::chart::{Anchor, Chart, Ink, Mark};
use crate::document::{Block, Cell, Column, ColumnKind, Document, Section, Table, Text};
use crate::picture::rows;

/// Forbids everything but inline style and inline pictures, should a browser ever be led to load something.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// The page.
pub(crate) fn page(document: &Document) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang=(document.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content=(document.software);
                title { (document.title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                div.notice role="note" { (document.disclaimer) }
                header {
                    h1 { (document.title) }
                    @if let Some(subject) = &document.subject { p.subject { (subject.on_screen) } }
                    p.subtitle { (document.subtitle) }
                }
                main { @for part in &document.sections { (section(part)) } }
                footer {
                    p { (document.software) " · " (document.disclaimer_short) }
                }
            }
        }
    };
    let mut page = markup.into_string();
    page.push('\n');
    page
}

fn section(part: &Section) -> Markup {
    let heading = format!("{}-heading", part.id);
    html! {
        section id=(part.id) aria-labelledby=(heading) {
            h2 id=(heading) { (part.title) }
            @for b in &part.blocks { (block(b)) }
        }
    }
}

fn block(block: &Block) -> Markup {
    match block {
        Block::Lead(sentences) => html! { div.lead { @for s in sentences { p lang=[foreign(s)] { (s.text) } } } },
        Block::Triage(t) => html! {
            p.triage {
                (t.label) " " span class={ "chip level-" (t.level) } { (t.priority) }
                @if let Some(reason) = &t.reason { span lang=[foreign(reason)] { (reason.text) } }
            }
        },
        Block::Figures(figures) => html! {
            dl.figures {
                @for f in figures { div { dt { (f.label) } dd { (f.value) small { (f.detail) } } } }
            }
        },
        Block::Paragraph(text) => html! { p lang=[foreign(text)] { (text.text) } },
        Block::Facts(facts) => html! {
            dl.facts { @for (name, value) in facts { dt { (name) } dd lang=[foreign(value)] { (value.text) } } }
        },
        Block::List { title, items } => html! {
            h3 { (title) }
            ul { @for item in items { li lang=[foreign(item)] { (item.text) } } }
        },
        Block::Notes(lines) => html! {
            ul.notes {
                @for line in lines {
                    li class={ "level-" (line.level) } {
                        b { (line.severity) } span lang=[foreign(&line.text)] { (line.text.text) }
                    }
                }
            }
        },
        Block::Table(t) => table(t),
        Block::Charts(charts) => html! { div.charts { @for c in charts { (chart(c)) } } },
        Block::Gallery { pictures, note, legend } => html! {
            p.after.legend { @for (colour, name) in legend { span { (swatch(*colour)) (name) } } (note) }
            @for row in rows(pictures) {
                div.gallery {
                    @for p in row {
                        figure style={ "flex:" (format!("{:.3}", p.aspect())) " 1 0" } {
                            img src={ "data:image/png;base64," (BASE64.encode(&p.png)) } alt=(p.alt)
                                width=(p.size[0]) height=(p.size[1]);
                            figcaption { (p.title) ". " (p.caption) }
                        }
                    }
                }
            }
        },
    }
}

fn table(table: &Table) -> Markup {
    html! {
        div.scroll {
            table {
                caption { (table.caption) }
                thead { tr { @for c in &table.columns { th scope="col" class=[class(c)] { (c.title) } } } }
                tbody {
                    @for row in &table.rows {
                        tr class=[row.is_total.then_some("total")] {
                            @for (i, (cell, column)) in row.cells.iter().zip(&table.columns).enumerate() {
                                @if i == 0 {
                                    th scope="row" class=[class(column)] { (content(cell)) }
                                } @else {
                                    td class=[class(column)] lang=[foreign(&cell.text)] { (content(cell)) }
                                }
                            }
                        }
                    }
                }
            }
        }
        @for note in &table.notes { p.after { (note) } }
    }
}

fn content(cell: &Cell) -> Markup {
    html! {
        @if let Some(colour) = cell.swatch { (swatch(colour)) }
        (cell.text.text)
    }
}

fn swatch([r, g, b]: Rgb) -> Markup {
    html! { span.swatch aria-hidden="true" style={ "background:rgb(" (r) "," (g) "," (b) ")" } {} }
}

fn chart(chart: &Chart) -> Markup {
    let points = |points: &[[f32; 2]]| -> String {
        points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
    };
    html! {
        figure {
            h3 { (chart.title) }
            svg viewBox={ "0 0 " (Chart::WIDTH) " " (Chart::HEIGHT) } role="img" aria-label=(chart.alt) {
                @for mark in &chart.marks {
                    @match mark {
                        Mark::Area { points: p, ink } => { polygon class=(name(*ink)) points=(points(p)) {} },
                        Mark::Line { points: p, ink, width } => {
                            path class=(name(*ink)) fill="none" stroke-width=(width) d={ "M" (points(p)) } {}
                        },
                        Mark::Text { at, anchor, text } => {
                            text x=(format!("{:.1}", at[0])) y=(format!("{:.1}", at[1])) text-anchor=(held(*anchor)) {
                                (text)
                            }
                        },
                    }
                }
            }
        }
    }
}

fn name(ink: Ink) -> &'static str {
    match ink {
        Ink::Axis => "axis",
        Ink::Grid => "grid",
        Ink::Lung => "lung",
        Ink::Lesion => "lesion",
    }
}

fn held(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    }
}

fn class(column: &Column) -> Option<&'static str> {
    match column.kind {
        ColumnKind::Words => None,
        ColumnKind::Number => Some("number"),
        ColumnKind::Code => Some("code"),
    }
}

fn foreign(text: &Text) -> Option<&'static str> {
    text.is_foreign.then_some("en")
}
