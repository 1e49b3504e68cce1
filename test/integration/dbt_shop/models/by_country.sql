{{ config(materialized='view') }}
select c.name as name, count() as orders, sum(o.amount) as amount
from {{ ref('orders') }} o join {{ ref('countries') }} c on c.code = o.country group by c.name
