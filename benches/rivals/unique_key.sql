SELECT count(*) FILTER (WHERE n > 1) FROM (SELECT count(*) AS n FROM lineitem GROUP BY l_orderkey, l_linenumber)
