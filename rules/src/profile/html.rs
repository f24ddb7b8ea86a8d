//! A profile as one HTML page that needs nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::text::{number, percent};
use super::{ColumnProfile, HistogramBin, Numbers, Profile, TopValue};
use crate::thousands;

const STYLE: &str = "
:root { color-scheme: light dark; --bar: #4a7fb5; --line: #8884; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 0 0 .4rem; }
h2 small { font-weight: normal; opacity: .7; }
section { border-top: 1px solid var(--line); padding: 1rem 0; }
table { border-collapse: collapse; } td, th { padding: .1rem .8rem .1rem 0; text-align: left; vertical-align: top; }
th { font-weight: normal; opacity: .7; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
.columns { display: flex; flex-wrap: wrap; gap: 2rem; }
svg rect { fill: var(--bar); } figcaption { font-size: .85rem; opacity: .7; } figure { margin: 0; }
.bar { background: var(--bar); height: .8em; display: inline-block; }
.value { max-width: 22rem; overflow-wrap: anywhere; white-space: pre-wrap; }
";

/// Width and height of a histogram.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 90.0;

impl Profile {
    /// The profile as a page. `title` says what of.
    pub fn to_html(&self, title: &str) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (title) }
                    p { (thousands(self.rows)) " rows, " (self.columns.len()) " columns" }
                    @for column in &self.columns { (column.section(self.rows)) }
                }
            }
        };
        page.into_string()
    }
}

impl ColumnProfile {
    fn section(&self, rows: u64) -> Markup {
        let about = if self.distinct_is_exact { "" } else { "about " };
        html! {
            section {
                h2 { (self.name) " " small { (self.data_type) } }
                div.columns {
                    table {
                        tr { th { "Values" } td.number { (thousands(rows - self.nulls)) }
                            td { @if let Some(share) = self.completeness { (percent(share)) } } }
                        tr { th { "Nulls" } td.number { (thousands(self.nulls)) } }
                        @if let Some(distinct) = self.distinct {
                            tr { th { "Distinct" } td.number { (about) (thousands(distinct)) } }
                        }
                        @if let Some(inferred) = self.looks_like.as_ref().and_then(|looks| looks.inferred) {
                            tr { th { "Looks like" } td { (inferred) } }
                        }
                        @if let (None, Some(min), Some(max)) = (&self.numbers, &self.min, &self.max) {
                            tr { th { "From" } td.value colspan="2" { (min) } }
                            tr { th { "To" } td.value colspan="2" { (max) } }
                        }
                        @if let Some(lengths) = &self.lengths {
                            tr { th { "Length" } td colspan="2" {
                                (lengths.min) " to " (lengths.max) ", mean " (number(lengths.mean)) } }
                        }
                        @if let Some(numbers) = &self.numbers { (numbers.rows()) }
                    }
                    @if let Some(numbers) = &self.numbers { (numbers.charts()) }
                    @if self.top.first().is_some_and(|top| top.rows > 1) {
                        (top_table(&self.top, self.top_error))
                    }
                }
            }
        }
    }
}

impl Numbers {
    fn rows(&self) -> Markup {
        let rows = [
            ("Min", self.min),
            ("Mean", self.mean),
            ("Max", self.max),
            ("Standard deviation", self.stddev),
            ("Skewness", self.skewness),
            ("Kurtosis", self.kurtosis),
            ("Sum", self.sum),
            ("Interquartile range", self.interquartile_range),
        ];
        html! {
            @for (name, value) in rows {
                @if let Some(value) = value {
                    tr { th { (name) } td.number { (number(value)) } }
                }
            }
            tr { th { "Zeros" } td.number { (thousands(self.zeros)) } }
        }
    }

    fn charts(&self) -> Markup {
        html! {
            div {
                @if self.histogram.len() > 1 { (histogram(&self.histogram)) }
                @if !self.quantiles.is_empty() {
                    table {
                        @for quantile in &self.quantiles {
                            tr {
                                th { (quantile.rank * 100.0) "%" }
                                td.number { (number(quantile.value)) }
                            }
                        }
                    }
                    @if self.rank_error > 0.0 {
                        p { small { "ranks to within " (percent(self.rank_error)) } }
                    }
                }
            }
        }
    }
}

fn histogram(bins: &[HistogramBin]) -> Markup {
    let greatest = bins.iter().map(|bin| bin.rows).max().unwrap_or(0).max(1) as f64;
    let width = WIDTH / bins.len() as f64;
    let ends = bins.first().zip(bins.last());
    html! {
        figure {
            svg width=(WIDTH) height=(HEIGHT) role="img" aria-label="histogram" {
                @for (place, bin) in bins.iter().enumerate() {
                    @let height = bin.rows as f64 / greatest * HEIGHT;
                    rect x=(place as f64 * width) y=(HEIGHT - height) width=((width - 1.0).max(0.5)) height=(height) {
                        title { (number(bin.from)) " to " (number(bin.to)) ": " (thousands(bin.rows)) }
                    }
                }
            }
            @if let Some((first, last)) = ends {
                figcaption { (number(first.from)) " to " (number(last.to)) }
            }
        }
    }
}

fn top_table(top: &[TopValue], error: u64) -> Markup {
    let greatest = top.first().map_or(1, |top| top.rows).max(1) as f64;
    html! {
        div {
            table {
                @for top in top {
                    tr {
                        td.value { (top.value) }
                        td.number { (thousands(top.rows)) }
                        td.number { (percent(top.share)) }
                        td { span.bar style={ "width:" (top.rows as f64 / greatest * 8.0) "rem" } {} }
                    }
                }
            }
            @if error > 0 {
                p { small { "counts may be up to " (thousands(error)) " rows too low" } }
            }
        }
    }
}
