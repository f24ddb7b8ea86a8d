SELECT
  count(*),
  count(l_orderkey), approx_count_distinct(l_orderkey),
  count(l_partkey), approx_count_distinct(l_partkey),
  count(l_quantity), min(l_quantity), max(l_quantity), sum(l_quantity),
  min(l_discount), max(l_discount), count(*) FILTER (WHERE l_discount BETWEEN 0 AND 0.1),
  min(l_tax), max(l_tax),
  min(l_extendedprice), max(l_extendedprice), avg(l_extendedprice), stddev_pop(l_extendedprice),
  percentile_approx(l_extendedprice, 0.5), percentile_approx(l_extendedprice, 0.99),
  corr(l_quantity, l_extendedprice),
  count(l_shipdate), max(l_shipdate),
  count(l_shipmode), count(*) FILTER (WHERE l_shipmode IN ('REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB')),
  count(*) FILTER (WHERE l_returnflag IN ('A', 'N', 'R')),
  count(*) FILTER (WHERE l_linestatus IN ('O', 'F')),
  count(*) FILTER (WHERE regexp_like(l_shipinstruct, '^[A-Z ]+$')),
  count(l_comment), min(length(l_comment)), max(length(l_comment)),
  count(*) FILTER (WHERE regexp_like(l_comment, '[a-z]')),
  count(*) FILTER (WHERE l_receiptdate >= l_shipdate)
FROM lineitem
