//! Workers, queues and graphs: runs bricks.
