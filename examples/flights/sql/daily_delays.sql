-- One row a day and airport of departure.
SELECT
    flight_date,
    origin,
    count(*) AS flights,
    count(*) FILTER (WHERE is_cancelled) AS cancelled,
    round(avg(dep_delay), 1) AS mean_departure_delay,
    round(avg(arr_delay), 1) AS mean_arrival_delay,
    round(avg(CASE WHEN arr_delay > 15 THEN 1.0 ELSE 0.0 END) FILTER (WHERE arr_delay IS NOT NULL), 3) AS share_late
FROM silver.flights
GROUP BY flight_date, origin
