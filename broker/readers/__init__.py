"""The one way in for what comes from outside: every failure of a library becomes a ReadError with place and remedy.

| module | reads |
| --- | --- |
| `files` | bytes and text of files, up to a size |
| `toml_text` | TOML: scenarios, device files, plans, values of options |
| `json_values` | JSON: status files, traces, manifests, answers of servers |
| `csv_rows` | CSV, row by row |
| `archives` | zip and gzip, with a bound on what they unpack to |
| `ranges` | numbers, places and times within bounds, the same everywhere |
| `http_answers` | what servers answer: statuses, waits, and whether a server is what it is taken for |

The SQLite store is read in `gridfleet.dashboards.store`, the segments of journal, spool and offline queue in
`gridfleet.broker.storage`. The architecture test holds that no other module imports the libraries behind them.
"""
