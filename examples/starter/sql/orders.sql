SELECT order_id, customer, status, amount, ordered_on, status <> 'returned' AS is_kept
FROM typed_orders
