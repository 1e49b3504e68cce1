{{ config(materialized='incremental', order_by='id', unique_key='id') }}
select id, amount, now64(3) as seen from {{ ref('orders') }}
{% if is_incremental() %} where id % 10 = 0 {% endif %}
