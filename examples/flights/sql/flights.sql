-- The delivered columns in their order, then what the pipeline adds.
SELECT
    year,
    month,
    day,
    dep_time,
    sched_dep_time,
    dep_delay,
    arr_time,
    sched_arr_time,
    arr_delay,
    carrier,
    flight,
    tailnum,
    origin,
    dest,
    air_time,
    distance,
    hour,
    minute,
    time_hour,
    make_date(year, month, day) AS flight_date,
    dep_time IS NULL AS is_cancelled
FROM typed_flights
