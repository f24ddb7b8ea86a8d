SELECT count(*) FROM lineitem ANTI JOIN orders ON l_orderkey = o_orderkey
