select total from (select sum(orders) as total from {{ ref('by_country') }}) where total != 1000
