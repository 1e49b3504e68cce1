{{ config(materialized='table', order_by='id') }}
select number as id, ['DE', 'FR', 'IT'][number % 3 + 1] as country, toDecimal64(number, 2) as amount from numbers(1000)
