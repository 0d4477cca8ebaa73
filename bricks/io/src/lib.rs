//! Sources and sinks: captures and tables in, scores, alerts, packets and matrices out.
