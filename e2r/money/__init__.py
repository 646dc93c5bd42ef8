"""What calls cost in money: price lists, and bills made from them in decimals."""
